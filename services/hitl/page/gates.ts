import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { TaskState } from '../../../proto/aats/project/v1/project_pb';
import type { Shape } from './marks';
import { personName, whoMay } from './words';

/** Who looks: requests that wait for this person are "you". */
export interface Reader {
  readonly name: string;
  /** Ids of open requests this person may answer. */
  readonly asked: ReadonlySet<string>;
}

/** A request to people as a step of its plan: where it stands, and who answered it when. */
export interface Gate {
  readonly approvalId: string;
  readonly taskId: string;
  readonly title: string;
  /** open, approved, rejected, expired, withdrawn. */
  readonly status: string;
  readonly at: 'before' | 'after';
  readonly by: readonly string[];
  readonly round: number;
  readonly requestedAt: Date;
  readonly answeredAt?: Date | undefined;
  readonly decidedBy?: string | undefined;
  readonly isEdited: boolean;
  /** Of the answer; may be empty. */
  readonly reason: string;
}

const shapes: Readonly<Record<string, Shape>> = {
  approved: 'done',
  rejected: 'failed',
  expired: 'skipped',
  withdrawn: 'cancelled',
};
/** Of a task that runs anew, the answer of the earlier round stands for nothing any more. */
const isAskedAnew = ({ status }: Gate, { state }: TaskState): boolean => status !== 'open' && state === 'pending';

export function gateShape(gate: Gate, task: TaskState, { asked }: Reader): Shape {
  if (gate.status === 'open') return asked.has(gate.approvalId) ? 'you' : 'waiting';
  return isAskedAnew(gate, task) ? 'idle' : (shapes[gate.status] ?? 'idle');
}

export function gateWords(gate: Gate, task: TaskState, { asked, name }: Reader): string {
  if (gate.status === 'open') {
    const yours = asked.has(gate.approvalId);
    return yours ? 'waiting for you' : `waiting for ${whoMay(gate.by, false, name)}`;
  }
  if (isAskedAnew(gate, task)) return 'asked anew';
  if (gate.decidedBy !== undefined)
    return `${personName(gate.decidedBy)} ${gate.status}${gate.isEdited ? ', edited' : ''}`;
  return gate.status === 'expired' ? 'nobody answered' : gate.status;
}

export const gateMilliseconds = ({ requestedAt, answeredAt }: Gate, now: Date): number =>
  Math.max(0, (answeredAt ?? now).getTime() - requestedAt.getTime());

/** Tasks as they stand beside their gates: the waiting is told at the gate, and once. */
export const besideGates = (tasks: readonly TaskState[], gates: ReadonlyMap<string, Gate>): readonly TaskState[] =>
  tasks.map((task) => {
    const gate = gates.get(task.id);
    if (task.state !== 'waiting' || gate?.status !== 'open') return task;
    return gate.at === 'before'
      ? { ...task, state: 'pending', reason: 'waits for the answer' }
      : { ...task, state: 'succeeded', endedAt: timestampFromDate(gate.requestedAt) };
  });

/** The newest round of each task; earlier ones are history. */
export function newestGates(gates: readonly Gate[]): ReadonlyMap<string, Gate> {
  const newest = new Map<string, Gate>();
  for (const gate of gates) if ((newest.get(gate.taskId)?.round ?? 0) < gate.round) newest.set(gate.taskId, gate);
  return newest;
}

/** Time in which at least one request was open. */
export function peopleMilliseconds(gates: readonly Gate[], now: Date): number {
  let [sum, until] = [0, 0];
  for (const gate of [...gates].sort((a, b) => a.requestedAt.getTime() - b.requestedAt.getTime())) {
    const [from, to] = [gate.requestedAt.getTime(), (gate.answeredAt ?? now).getTime()];
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}
