import { defaultDataDir } from './context';
import { currentCode, type DemoPerson } from './demo-codes';
import type { StackFile } from './stack-file';

export interface BannerOptions {
  readonly columns: number;
  readonly paint: (colour: 'bold' | 'dim' | 'yellow', text: string) => string;
  readonly stack: StackFile;
  readonly people: readonly DemoPerson[];
  readonly planId: string;
  /** What the plan asks a person now. */
  readonly approvalId: string | undefined;
  readonly readyMs: number;
}

/** `0.3 s`, `2 m 48 s`. */
export const minutes = (milliseconds: number): string =>
  milliseconds < 59_950
    ? `${(milliseconds / 1000).toFixed(1)} s`
    : `${Math.floor(Math.round(milliseconds / 1000) / 60)} m ${String(Math.round(milliseconds / 1000) % 60).padStart(2, '0')} s`;

/** Everything a newcomer needs next: where to look, who to sign in as, what to type. */
export function bannerLines(options: BannerOptions): readonly string[] {
  const { columns, paint, stack, people, planId, approvalId, readyMs } = options;
  const [first] = people;
  const news = approvalId === undefined ? 'The example plan has ended.' : paint('yellow', 'A plan is waiting for you.');
  return [
    paint('dim', '─'.repeat(columns)),
    `  ${paint('bold', `Ready in ${minutes(readyMs)}.`)} ${news}`,
    '',
    ...addressLines(options),
    `  Data      ${stack.dataDir} ${paint('dim', 'kept; “npm run stack -- reset” deletes it')}`,
    '',
    ...peopleLines(paint, people),
    paint(
      'dim',
      `            codes change in ${first ? currentCode(first).secondsLeft : 0} s; c or “npx aats demo codes” shows the new ones`,
    ),
    '',
    ...nextLines(stack, first?.name ?? '', planId, approvalId),
    '',
    paint('dim', '  Ctrl-C stops everything in order. Started again, it goes on where it was.'),
  ];
}

function addressLines({ columns, paint, stack, people }: BannerOptions): readonly string[] {
  const { addresses, identities } = stack;
  const { cli } = identities;
  const port = (url: string | undefined): string => url?.split(':').at(-1) ?? '';
  const grpc = [
    cli['AATS_PROJECT_MANAGER_ADDRESS'],
    cli['AATS_DATABASE_CONTROLLER_ADDRESS'],
    cli['AATS_COORDINATOR_ADDRESS'],
  ];
  const rest = (['project-manager', 'database-controller', 'communication-coordinator', 'hitl'] as const).map(
    (name) => identities[name]['AATS_REST_PORT'] ?? '',
  );
  const workers = (['worker-plans', 'worker-data'] as const).map((name) => identities[name]['AATS_METRICS_PORT'] ?? '');
  const services = `gRPC ${grpc.map(port).join(' ')} ${paint('dim', '·')} REST ${rest.slice(0, 3).join(' ')}`;
  const documents = 'documents at /openapi.json';
  const wide = columns >= 110;
  return [
    `  Open      ${paint('bold', addresses['page'] ?? '')}   ${paint('dim', `the page: sign in as ${people[0]?.name ?? ''}`)}`,
    `            ${addresses['temporalUi'] ?? ''}    ${paint('dim', 'Temporal, read only')}`,
    `  For code  ${services}${wide ? ` ${paint('dim', `· ${documents}`)}` : ''}`,
    ...(wide ? [] : [paint('dim', `            ${documents}`)]),
    `  Metrics   ${[...rest, ...workers].join(' ')} ${paint('dim', 'at /metrics')}`,
    `  Trust     ${cli['AATS_CA_FILE'] ?? ''} ${paint('dim', 'everything speaks TLS')}`,
  ];
}

function peopleLines(paint: BannerOptions['paint'], people: readonly DemoPerson[]): readonly string[] {
  const widest = (texts: readonly string[]): number => Math.max(...texts.map(({ length }) => length)) + 2;
  const names = widest(['Person', ...people.map(({ name }) => name)]);
  const passwords = widest(['Password', ...people.map(({ password }) => password)]);
  return [
    paint('dim', `  ${'Person'.padEnd(names)}${'Password'.padEnd(passwords)}Code now  Role`),
    ...people.map((person) => {
      const { code } = currentCode(person);
      const shown = paint('bold', `${code.slice(0, 3)} ${code.slice(3)}`);
      return `  ${person.name.padEnd(names)}${person.password.padEnd(passwords)}${shown}   ${person.note}`;
    }),
  ];
}

/** Lines to type as they stand, in the project's folder. */
function nextLines(
  { dataDir }: StackFile,
  name: string,
  planId: string,
  approvalId: string | undefined,
): readonly string[] {
  const commands = [
    // The command finds the usual data folder by itself.
    ...(dataDir === defaultDataDir() ? [] : [`export AATS_DATA_DIR=${dataDir}`]),
    `npx aats login ${name}`,
    `npx aats plan watch ${planId}`,
    approvalId === undefined ? 'npx aats approval list --done' : `npx aats approval show ${approvalId}`,
  ];
  return commands.map((command, index) => `  ${index === 0 ? 'Next' : '    '}      ${command}`);
}
