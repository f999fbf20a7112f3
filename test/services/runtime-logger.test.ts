import { createLogger, inCall, note, notePlan } from '../../services/runtime/logger';
import { traceparentOf } from '../../activities/buses/cloud-event';

type Line = Readonly<Record<string, unknown>>;

describe('log lines', () => {
  const lines: Line[] = [];
  const logger = createLogger('test', { write: (text) => void lines.push(JSON.parse(text) as Line) });
  const logged = (work: () => void): readonly Line[] => {
    lines.length = 0;
    work();
    return [...lines];
  };
  const traceOf = (planId: string): string | undefined => traceparentOf(planId, 'x').split('-')[1];

  it('are JSON with the trace of the call, its caller and its plan', () => {
    const trace = 'ab'.repeat(16);
    const [first, second] = logged(() => {
      inCall(`00-${trace}-${'cd'.repeat(8)}-01`, () => {
        note({ caller: 'person/petra' });
        notePlan({ approvalId: 'p-1/gate/1' });
        logger.info('one');
        logger.warn({ ms: 5 }, 'two');
      });
    });
    expect(first).toMatchObject({ name: 'test', msg: 'one', traceId: trace, planId: 'p-1', caller: 'person/petra' });
    expect(second).toMatchObject({ msg: 'two', ms: 5, traceId: trace, planId: 'p-1' });
  });

  it('about a plan have the trace of its messages, in a call that brought none and outside of calls', () => {
    const [inside, outside] = logged(() => {
      inCall('none of W3C', () => {
        notePlan({ planId: 'p-2' });
        logger.info('inside');
      });
      logger.info({ planId: 'p-2' }, 'outside');
    });
    expect([inside?.['traceId'], outside?.['traceId']]).toEqual([traceOf('p-2'), traceOf('p-2')]);
  });

  it('of a call about nothing have one trace of their own, and others none', () => {
    const [first, second, other] = logged(() => {
      inCall(undefined, () => {
        logger.info('first');
        logger.info('second');
      });
      logger.info('other');
    });
    expect(first?.['traceId']).toMatch(/^[\da-f]{32}$/);
    expect(second?.['traceId']).toBe(first?.['traceId']);
    expect(other).not.toHaveProperty('traceId');
  });

  it('hold no credential that somebody logs by mistake', () => {
    const [line] = logged(() => {
      logger.info({ password: 'hunter2', inner: { token: 'hunter2' }, args: ['x'] }, 'careless');
    });
    expect(JSON.stringify(line)).not.toContain('hunter2');
  });
});
