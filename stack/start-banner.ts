import { currentCode, type DemoPerson } from './demo-people';
import type { StackFile } from './stack-file';

export interface BannerOptions {
  readonly columns: number;
  readonly paint: (colour: 'bold' | 'dim' | 'yellow', text: string) => string;
  readonly stack: StackFile;
  readonly people: readonly DemoPerson[];
  readonly planId: string;
  readonly readyMs: number;
  readonly waits: boolean;
}

export const minutes = (milliseconds: number): string =>
  milliseconds < 60_000
    ? `${(milliseconds / 1000).toFixed(1)} s`
    : `${Math.floor(milliseconds / 60_000)} min ${Math.round((milliseconds % 60_000) / 1000)} s`;

/** Everything a newcomer needs next: where to look, who to sign in as, what to type. */
export function bannerLines({
  columns,
  paint,
  stack,
  people,
  planId,
  readyMs,
  waits,
}: BannerOptions): readonly string[] {
  const { addresses, identities } = stack;
  const port = (url: string | undefined): string => url?.split(':').at(-1) ?? '';
  const cli = identities.cli;
  const grpc = ['AATS_PROJECT_MANAGER_ADDRESS', 'AATS_DATABASE_CONTROLLER_ADDRESS', 'AATS_COORDINATOR_ADDRESS'].map(
    (name) => port(cli[name]),
  );
  const rest = ['project-manager', 'database-controller', 'communication-coordinator'] as const;
  const secondsLeft = people[0] ? currentCode(people[0]).secondsLeft : 0;
  const aats = 'npx aats';
  return [
    paint('dim', '─'.repeat(columns)),
    `  ${paint('bold', `Ready in ${minutes(readyMs)}.`)} ${waits ? paint('yellow', 'A plan is waiting for you.') : 'The example plan is on its way.'}`,
    '',
    `  Open      ${paint('bold', addresses['page'] ?? '')}   ${paint('dim', `the page: sign in as ${people[0]?.name ?? ''}`)}`,
    `            ${addresses['temporalUi'] ?? ''}    ${paint('dim', 'Temporal, read only')}`,
    `  For code  gRPC ${grpc.join(' ')} ${paint('dim', '·')} REST ${rest.map((name) => identities[name]['AATS_REST_PORT'] ?? '').join(' ')}`,
    `            ${paint('dim', 'documents at /openapi.json, figures at /metrics; all with TLS, trust')} ${cli['AATS_CA_FILE'] ?? ''}`,
    `  Data      ${stack.dataDir} ${paint('dim', 'kept; “npm run stack -- reset” deletes it')}`,
    '',
    paint('dim', `  ${'Person'.padEnd(10)}${'Password'.padEnd(32)}${'Code now'.padEnd(11)}Role`),
    ...people.map((person) => {
      const { code } = currentCode(person);
      return `  ${person.name.padEnd(10)}${person.password.padEnd(32)}${paint('bold', `${code.slice(0, 3)} ${code.slice(3)}`)}    ${person.note}`;
    }),
    `            ${paint('dim', `codes change in ${secondsLeft} s; press c to see the new ones`)}`,
    '',
    `  Next      ${aats} login ${people[0]?.name ?? ''}`,
    `            ${aats} plan watch ${planId}`,
    `            ${aats} approval list`,
    '',
    paint('dim', '  Ctrl-C stops everything in order. Started again, it goes on where it was.'),
  ];
}
