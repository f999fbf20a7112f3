import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  GetApprovalResponseSchema,
  type PlanSummary,
  PlanSummarySchema,
  TaskStateSchema,
} from '../../proto/aats/project/v1/project_pb';
import { peopleClock } from '../../services/hitl/page/approval-history';
import type { Html } from '../../services/hitl/page/html';
import { figuresPart, type PlanNow } from '../../services/hitl/page/plan-parts';
import { plansList } from '../../services/hitl/page/plans-page';
import { shapeOf, stateWords } from '../../services/hitl/page/task-words';

const reader = { name: 'mara', asked: new Set<string>() };
const begun = new Date('2026-11-27T18:00:00Z');
const now = new Date('2026-11-27T18:10:00Z');
const later = new Date('2026-11-30T18:05:00Z');
const plan = (more: MessageInitShape<typeof PlanSummarySchema> = {}): PlanSummary =>
  create(PlanSummarySchema, { planId: 'p1', state: 'running', startedAt: timestampFromDate(begun), ...more });
const planNow = (...states: readonly string[]): PlanNow => ({
  plan: plan(),
  tasks: states.map((state, index) => create(TaskStateSchema, { id: `t${index}`, state, attempt: 1 })),
  gates: [],
  reader,
  now,
});
const textOf = (part: unknown): string => (part as Html).text;

describe('a plan on the page', () => {
  it('counts nothing as done that was cancelled or undone, and nothing as running that nobody began', () => {
    const { text } = figuresPart(planNow('succeeded', 'cancelled', 'compensated', 'dispatched', 'running'));
    expect(text).toContain('1 done, 0 failed, 2 cancelled or undone, 1 running, 0 waiting, 1 not started');
    expect(text).toContain('<rect class="d" x="0.0" width="20.0"');
  });

  it('says that a task waits for an agent until one has begun it', () => {
    const [task = create(TaskStateSchema)] = planNow('dispatched').tasks;
    expect([shapeOf(task, reader), stateWords(task, reader, now)]).toEqual(['idle', 'waits for an agent']);
  });

  it('names the day of what is not today, and calls no request answered that nobody answered', () => {
    const request = (outcome?: MessageInitShape<typeof GetApprovalResponseSchema>['outcome']): string =>
      textOf(
        peopleClock(
          planNow('waiting'),
          create(GetApprovalResponseSchema, {
            approval: { requestedAt: timestampFromDate(begun), expiresAt: timestampFromDate(later) },
            ...(outcome && { outcome }),
          }),
        ),
      );
    expect(request()).toMatch(/now <tspan[^>]*>18:10<.*expires <tspan[^>]*>30 Nov, 18:05</);
    const at = timestampFromDate(now);
    expect(request({ at, status: 'expired', decidedBy: '' })).toMatch(/expired <tspan/);
    expect(request({ at, status: 'approved', decidedBy: 'mara' })).toMatch(/answered <tspan/);
  });

  it('says who is waited for also when the plan itself does not answer', () => {
    const waitingFor = [{ approvalId: '', title: '', by: ['person:ana'] }];
    const { text } = plansList({
      view: 'all',
      owner: '',
      name: '',
      plans: [plan({ waitingFor })],
      mayStart: false,
      counts: { all: '1', running: '1', person: '1', failed: '0', ended: '0' },
      reader,
      now,
    });
    expect(text).toContain('<span>Waiting for Ana</span>');
  });
});
