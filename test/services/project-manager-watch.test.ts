import { createKeptChanges } from '../../services/project-manager/kept-changes';
import type { FeedEvent } from '../../services/project-manager/plan-feed';
import { type WatchEvent, watchPlan } from '../../services/project-manager/watch';
import type { ChangeSet, PlanHeader } from '../../workflows/contracts/plan';

const header = (cursor: number, state: PlanHeader['state'] = 'running'): PlanHeader => ({
  planId: 'p',
  name: 'p',
  title: 'P',
  owner: 'petra',
  state,
  compensation: 'none',
  startedAt: '2026-01-01T00:00:00Z',
  cursor,
  counts: {},
  taskCount: 0,
  waitingFor: [],
});
const change = (cursor: number, state?: PlanHeader['state']): FeedEvent => ({
  kind: 'change',
  change: {
    planId: 'p',
    cursor,
    at: '2026-01-01T00:00:00Z',
    tasks: [],
    attempts: [],
    ...(state && { plan: header(cursor, state) }),
  },
});
const progress: FeedEvent = {
  kind: 'progress',
  report: {
    kind: 'progress',
    planId: 'p',
    taskId: 't',
    attempt: 1,
    agent: 'a',
    at: '2026-01-01T00:00:00Z',
    percent: 5,
  },
};

/** A feed that a test speaks through, and a plan that stands where the test says. */
function createSources(kept?: readonly ChangeSet[]) {
  const listeners = new Set<(event: FeedEvent) => void>();
  const draining = new AbortController();
  const sources = {
    at: 1,
    queries: 0,
    isRead: true,
    subscribers: () => listeners.size,
    say: (...events: readonly FeedEvent[]) => {
      for (const event of events) for (const listener of listeners) listener(event);
    },
    drain: () => {
      draining.abort();
    },
  };
  const plans = {
    header: () => {
      sources.queries += 1;
      return Promise.resolve(header(sources.at));
    },
    tasks: () => Promise.resolve([]),
  };
  const feed = {
    subscribe: (_planId: string, listener: (event: FeedEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    since: () => kept,
    isRead: () => sources.isRead,
  };
  return { sources, from: { plans, feed, draining: draining.signal } };
}
const label = ({ event }: WatchEvent): string =>
  event?.case === 'change' ? `change ${event.value.cursor ?? ''}` : (event?.case ?? 'nothing');

describe('watching a plan', () => {
  const watch = (setup: ReturnType<typeof createSources>, cursor?: number, signal = new AbortController().signal) => {
    const events = watchPlan(setup.from, 'p', cursor, signal);
    return async (): Promise<string> => {
      const next = await events.next();
      return next.done === true ? 'end' : label(next.value);
    };
  };

  it('begins with a snapshot and goes on with every change until the plan ends', async () => {
    const setup = createSources();
    const next = watch(setup);
    expect(await next()).toBe('snapshot');
    setup.sources.say(change(1), change(2), progress, change(3, 'succeeded'));
    expect([await next(), await next(), await next(), await next()]).toEqual([
      'change 2',
      'progress',
      'change 3',
      'end',
    ]);
    expect(setup.sources).toMatchObject({ queries: 1 });
    expect(setup.sources.subscribers()).toBe(0);
  });

  it('goes on after a cursor without asking the plan', async () => {
    const kept = [change(5), change(6)].flatMap((event) => (event.kind === 'change' ? [event.change] : []));
    const setup = createSources(kept);
    const next = watch(setup, 4);
    expect([await next(), await next()]).toEqual(['change 5', 'change 6']);
    const after = next();
    setup.sources.say(change(7, 'cancelled'));
    expect([await after, await next()]).toEqual(['change 7', 'end']);
    expect(setup.sources.queries).toBe(0);
  });

  it('sends a snapshot when a cursor is too old', async () => {
    const next = watch(createSources(), 1);
    expect(await next()).toBe('snapshot');
  });

  it('makes up for a change that it missed by a new snapshot', async () => {
    const setup = createSources();
    const next = watch(setup);
    await next();
    setup.sources.at = 4;
    setup.sources.say(change(4), change(4), change(5));
    expect([await next(), await next()]).toEqual(['snapshot', 'change 5']);
    expect(setup.sources.queries).toBe(2);
  });

  it('looks again when the topic was not read for a while, since the plan may have ended meanwhile', async () => {
    const setup = createSources();
    const next = watch(setup);
    await next();
    setup.sources.say({ kind: 'gap' }, change(2));
    expect(await next()).toBe('change 2');
    setup.sources.at = 5;
    setup.sources.say({ kind: 'gap' });
    expect(await next()).toBe('snapshot');
    setup.sources.say(change(4), change(6, 'succeeded'));
    expect([await next(), await next()]).toEqual(['change 6', 'end']);
  });

  it('sends a reader away when the topic is not read, and lets none begin, so that nobody is live and hears nothing', async () => {
    const setup = createSources();
    const next = watch(setup);
    await next();
    setup.sources.say(change(2), { kind: 'unread' });
    expect(await next()).toBe('change 2');
    await expect(next()).rejects.toMatchObject({ type: 'BusUnavailable' });
    setup.sources.isRead = false;
    await expect(watch(setup)()).rejects.toMatchObject({ type: 'BusUnavailable' });
    expect(setup.sources).toMatchObject({ queries: 1 });
    expect(setup.sources.subscribers()).toBe(0);
  });

  it('cuts a reader off that lets too much wait', async () => {
    const setup = createSources();
    const next = watch(setup);
    await next();
    for (let cursor = 2; cursor < 3000; cursor++) setup.sources.say(change(cursor));
    await expect(next()).rejects.toMatchObject({ type: 'SlowReader' });
    expect(setup.sources.subscribers()).toBe(0);
  });

  it('lets progress go first when a reader lags', async () => {
    const setup = createSources();
    const next = watch(setup);
    await next();
    for (let i = 0; i < 5000; i++) setup.sources.say(progress);
    setup.sources.say(change(2, 'failed'));
    const seen = new Map<string, number>();
    for (let event = await next(); event !== 'end'; event = await next()) seen.set(event, (seen.get(event) ?? 0) + 1);
    expect(Object.fromEntries(seen)).toEqual({ progress: 200, 'change 2': 1 });
  });

  it('ends when its reader leaves, and sends it elsewhere when the service stops', async () => {
    const [left, stopped] = [createSources(), createSources()];
    const gone = new AbortController();
    const [next, nextOther] = [watch(left, undefined, gone.signal), watch(stopped)];
    await next();
    await nextOther();
    const [end, elsewhere] = [next(), nextOther()];
    gone.abort();
    stopped.sources.drain();
    await expect(end).resolves.toBe('end');
    await expect(elsewhere).rejects.toMatchObject({ type: 'Draining' });
    expect([left.sources.subscribers(), stopped.sources.subscribers()]).toEqual([0, 0]);
  });
});

describe('changes that are kept', () => {
  const keeping = (...events: readonly FeedEvent[]) => {
    const kept = createKeptChanges();
    for (const event of events) if (event.kind === 'change') kept.keep(event.change);
    return (cursor: number) => kept.since('p', cursor)?.map((one) => one.cursor);
  };

  it('are those after a cursor, none for the newest, and not told when some are missing', () => {
    const since = keeping(change(3), change(4), change(4), change(5));
    expect([1, 2, 4, 5, 6].map(since)).toEqual([undefined, [3, 4, 5], [5], [], undefined]);
  });

  it('are not waited for after the last one of a plan, whose reader would never hear that it ended', () => {
    const since = keeping(change(1), change(2, 'failed'));
    expect([1, 2].map(since)).toEqual([[2], undefined]);
    expect(keeping(change(2, 'failed'), change(3, 'running'))(3)).toEqual([]);
  });
});
