/** A stage of the language; a build serves stages up to its own and refuses the fields of later ones. */
export type Stage = 1 | 2 | 'B';

export type FieldKind =
  | {
      readonly is:
        | 'name'
        | 'id'
        | 'plain'
        | 'text'
        | 'value'
        | 'arguments'
        | 'schema'
        | 'schemas'
        | 'labels'
        | 'secrets'
        | 'boolean'
        | 'money'
        | 'planRef'
        | 'pointer'
        | 'version'
        | 'failureType';
    }
  | { readonly is: 'duration'; readonly min?: string; readonly max?: string }
  | { readonly is: 'expression' }
  | { readonly is: 'integer' | 'number'; readonly min: number; readonly max: number }
  | { readonly is: 'choice'; readonly of: readonly string[] }
  | {
      readonly is: 'list';
      readonly item: FieldKind;
      readonly min?: number;
      readonly max: number;
      readonly unique?: boolean;
    }
  | { readonly is: 'object'; readonly shape: ShapeName }
  | { readonly is: 'plans' };

export interface Field {
  readonly kind: FieldKind;
  readonly required?: boolean;
  readonly stage?: Stage;
  /** Words of a choice that a later stage brings. */
  readonly laterWords?: Readonly<Record<string, Stage>>;
}
export type ShapeName =
  | 'plan'
  | 'subPlan'
  | 'task'
  | 'forEach'
  | 'repeat'
  | 'retry'
  | 'approval'
  | 'show'
  | 'editable'
  | 'escalation'
  | 'choice'
  | 'ask'
  | 'questions'
  | 'budget'
  | 'taskBudget'
  | 'compensation'
  | 'planner';

const of = (
  is:
    | 'name'
    | 'id'
    | 'plain'
    | 'text'
    | 'value'
    | 'arguments'
    | 'schema'
    | 'schemas'
    | 'labels'
    | 'secrets'
    | 'boolean'
    | 'money'
    | 'planRef'
    | 'pointer'
    | 'version'
    | 'failureType',
): FieldKind => ({ is });
const duration = (min?: string, max?: string): FieldKind => ({
  is: 'duration',
  ...(min !== undefined && { min }),
  ...(max !== undefined && { max }),
});
const integer = (min: number, max: number): FieldKind => ({ is: 'integer', min, max });
const choice = (...words: string[]): FieldKind => ({ is: 'choice', of: words });
const list = (item: FieldKind, max: number, more: { min?: number; unique?: boolean } = {}): FieldKind => ({
  is: 'list',
  item,
  max,
  ...more,
});
const object = (shape: ShapeName): FieldKind => ({ is: 'object', shape });
const expression: FieldKind = { is: 'expression' };
/** Kind *who*: checked by its own rules. */
export const who: FieldKind = { is: 'plain' };
const ids = list(of('id'), 1000, { unique: true });
const people: Field = { kind: list(who, 32, { min: 1, unique: true }), required: true };

const waiting: Readonly<Record<string, Field>> = {
  by: people,
  expiresIn: { kind: duration('1m', '90d') },
  reminders: { kind: list(integer(1, 99), 8, { unique: true }), stage: 'B' },
  escalation: { kind: list(object('escalation'), 8), stage: 'B' },
};
const retryFields: Readonly<Record<string, Field>> = {
  maxAttempts: { kind: integer(1, 100) },
  initialInterval: { kind: duration() },
  backoffCoefficient: { kind: { is: 'number', min: 1, max: 10 } },
  maxInterval: { kind: duration() },
  nonRetryable: { kind: list(of('failureType'), 50, { unique: true }) },
};
const taskBudget: Readonly<Record<string, Field>> = {
  tokens: { kind: integer(1, 2_000_000_000), stage: 2 },
  cost: { kind: of('money'), stage: 2 },
  agentTime: { kind: duration(), stage: 2 },
  toolCalls: { kind: integer(1, 1_000_000_000), stage: 2 },
};

/** Every field of the language with its kind, bounds and stage (docs/plans.md, "Fields"). */
export const shapes: Readonly<Record<ShapeName, Readonly<Record<string, Field>>>> = {
  plan: {
    apiVersion: { kind: choice('v1') },
    name: { kind: of('name'), required: true },
    version: { kind: integer(1, 999_999_999), stage: 2 },
    title: { kind: of('plain') },
    description: { kind: of('plain') },
    labels: { kind: of('labels') },
    inputs: { kind: of('schemas') },
    tasks: { kind: list(object('task'), 10_000, { min: 1 }), required: true },
    plans: { kind: { is: 'plans' }, stage: 2 },
    result: { kind: of('value') },
    deadline: { kind: duration('1s', '90d') },
    maxParallel: { kind: integer(1, 10_000) },
    priority: { kind: choice('low', 'normal', 'high', 'urgent'), stage: 2 },
    fairnessKey: { kind: of('name'), stage: 2 },
    budget: { kind: object('budget'), stage: 2 },
    questions: { kind: object('questions'), stage: 2 },
    revisionApproval: { kind: object('approval'), stage: 'B' },
  },
  subPlan: {
    inputs: { kind: of('schemas') },
    tasks: { kind: list(object('task'), 10_000, { min: 1 }), required: true },
    result: { kind: of('value') },
  },
  task: {
    id: { kind: of('id'), required: true },
    title: { kind: of('text') },
    capability: { kind: of('name') },
    plan: { kind: of('planRef'), stage: 2 },
    ask: { kind: object('ask'), stage: 2 },
    with: { kind: of('arguments') },
    needs: { kind: ids },
    after: { kind: ids },
    when: { kind: expression },
    forEach: { kind: object('forEach') },
    repeat: { kind: object('repeat'), stage: 2 },
    output: { kind: of('schema') },
    timeout: { kind: duration('1s', '30d') },
    heartbeat: { kind: duration('1s', '10m') },
    deadline: { kind: duration() },
    retry: { kind: object('retry') },
    approval: { kind: object('approval') },
    onFailure: { kind: choice('fail', 'continue', 'ask'), laterWords: { ask: 2 } },
    compensation: { kind: object('compensation') },
    secrets: { kind: of('secrets') },
    planner: { kind: object('planner'), stage: 2 },
    budget: { kind: object('taskBudget'), stage: 2 },
    degradedWith: { kind: of('arguments'), stage: 2 },
    concurrencyGroup: { kind: of('text'), stage: 2 },
  },
  forEach: {
    in: { kind: expression, required: true },
    maxParallel: { kind: integer(1, 10_000) },
    maxItems: { kind: integer(1, 10_000) },
    maxFailurePercent: { kind: integer(0, 100) },
  },
  repeat: { until: { kind: expression, required: true }, maxRounds: { kind: integer(1, 100), required: true } },
  retry: retryFields,
  approval: {
    at: { kind: choice('before', 'after') },
    title: { kind: of('text') },
    message: { kind: of('text') },
    show: { kind: list(object('show'), 20) },
    ...waiting,
    quorum: { kind: integer(1, 32), stage: 'B' },
    unanimous: { kind: of('boolean'), stage: 'B' },
    rejectQuorum: { kind: integer(1, 32), stage: 'B' },
    veto: { kind: list(who, 32, { min: 1, unique: true }), stage: 'B' },
    fourEyes: { kind: of('boolean') },
    choices: { kind: list(object('choice'), 6, { min: 2 }), stage: 'B' },
    form: { kind: of('schema'), stage: 'B' },
    editable: { kind: list(object('editable'), 50, { min: 1 }) },
    risk: { kind: choice('low', 'medium', 'high'), stage: 'B' },
    stepUp: { kind: of('boolean'), stage: 'B' },
    reasonRequired: { kind: of('boolean') },
    onExpiry: { kind: choice('reject', 'pause') },
    maxRounds: { kind: integer(1, 10), stage: 'B' },
    requiredWhen: { kind: expression, stage: 'B' },
  },
  show: { title: { kind: of('text'), required: true }, value: { kind: of('value'), required: true } },
  editable: { path: { kind: of('pointer'), required: true }, schema: { kind: of('schema'), required: true } },
  escalation: {
    after: { kind: duration(), required: true },
    to: { kind: list(who, 32, { min: 1, unique: true }), required: true },
  },
  choice: {
    id: { kind: of('id'), required: true },
    title: { kind: of('plain'), required: true },
    effect: { kind: choice('approve', 'reject', 'redo', 'skip'), required: true },
  },
  ask: {
    question: { kind: of('text'), required: true },
    message: { kind: of('text') },
    show: { kind: list(object('show'), 20) },
    ...waiting,
    answer: { kind: of('schema'), required: true },
    onExpiry: { kind: choice('fail', 'pause') },
  },
  questions: { ...waiting, max: { kind: integer(0, 1000) }, onExpiry: { kind: choice('fail', 'pause') } },
  budget: {
    ...taskBudget,
    tasks: { kind: integer(1, 10_000) },
    repeats: { kind: integer(1, 1000) },
    onExhausted: { kind: choice('stop', 'ask', 'degrade') },
    by: { kind: list(who, 32, { min: 1, unique: true }) },
  },
  taskBudget,
  compensation: {
    capability: { kind: of('name'), required: true },
    with: { kind: of('arguments') },
    timeout: { kind: duration('1s', '30d') },
    heartbeat: { kind: duration('1s', '10m') },
    retry: { kind: object('retry') },
    secrets: { kind: of('secrets') },
  },
  planner: {
    capabilities: { kind: list(of('name'), 100, { min: 1, unique: true }), required: true },
    maxTasks: { kind: integer(1, 1000) },
  },
};

/** What a shape is called in a sentence. */
export const shapeNames: Readonly<Record<ShapeName, string>> = {
  plan: 'a plan',
  subPlan: 'a plan',
  task: 'a task',
  forEach: 'forEach',
  repeat: 'repeat',
  retry: 'retry',
  approval: 'an approval',
  show: 'show',
  editable: 'editable',
  escalation: 'escalation',
  choice: 'a choice',
  ask: 'ask',
  questions: 'questions',
  budget: 'budget',
  taskBudget: 'budget',
  compensation: 'compensation',
  planner: 'planner',
};

/** Words of other systems, and ours for the same. */
export const foreignWords: Readonly<Record<string, string>> = {
  jobs: 'tasks',
  steps: 'tasks',
  nodes: 'tasks',
  activities: 'tasks',
  stages: 'tasks',
  uses: 'capability',
  action: 'capability',
  tool: 'capability',
  agent: 'capability',
  type: 'capability',
  run: 'capability',
  args: 'with',
  arguments: 'with',
  parameters: 'with',
  params: 'with',
  input: 'with',
  env: 'with',
  dependsOn: 'needs',
  depends_on: 'needs',
  dependencies: 'needs',
  requires: 'needs',
  depends: 'needs',
  if: 'when',
  condition: 'when',
  loop: 'forEach',
  foreach: 'forEach',
  withItems: 'forEach',
  map: 'forEach',
  matrix: 'forEach',
  retries: 'retry',
  retryPolicy: 'retry',
  outputs: 'output',
  schema: 'output',
  onError: 'onFailure',
  continueOnError: 'onFailure',
  rollback: 'compensation',
  undo: 'compensation',
  approve: 'approval',
  gate: 'approval',
  approvers: 'by',
  reviewers: 'by',
};
/** Fields that start a plan; they are kept beside it. */
export const triggerWords: ReadonlySet<string> = new Set([
  'schedule',
  'cron',
  'trigger',
  'triggers',
  'on',
  'webhook',
  'event',
]);
