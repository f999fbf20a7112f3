import type { Direction } from '../../services/hitl/page/graph';
import { boxesOf, fold, foldEnds, type GraphNode, type GraphTask } from '../../services/hitl/page/graph-fold';
import { drawGraph } from '../../services/hitl/page/graph-svg';
import type { Shape } from '../../services/hitl/page/marks';

const task = (id: string, state: Shape, needs: readonly string[] = [], group?: string): GraphTask => ({
  id,
  label: id,
  sub: state,
  state,
  needs,
  critical: false,
  ...(group !== undefined && { group: { id: group, label: group } }),
});
const items = (states: readonly Shape[], needs: readonly string[] = []): readonly GraphTask[] =>
  states.map((state, index) => task(`test.${index}`, state, needs, 'test'));
const none = new Map<string, number>();
const draw = (nodes: readonly GraphNode[], direction: Direction = 'across'): string =>
  drawGraph(nodes, { direction, room: 1196, href: ({ id }) => `/x#${id}` }).text;

describe('the drawing of a plan', () => {
  it('folds what went well into one box and leaves out what needs a look', () => {
    const nodes = fold([...items(['done', 'failed', 'done', 'running', 'done', 'you'])], none);
    expect(nodes.map(({ id, folded }) => [id, folded])).toEqual([
      ['test.5', false],
      ['test.1', false],
      ['fold:test', true],
    ]);
    expect(nodes.at(-1)).toMatchObject({ state: 'running', sub: '3 done, 1 now', opens: 'test' });
  });

  it('keeps at most four of a group out: for you, for others, failed, trying again, then what took longest', () => {
    const states: readonly Shape[] = ['done', 'retrying', 'failed', 'waiting', 'you', 'running', 'failed'];
    const nodes = fold(items(states), none);
    expect(nodes.filter(({ folded }) => !folded).map(({ state }) => state)).toEqual([
      'you',
      'waiting',
      'failed',
      'failed',
    ]);
    expect(nodes.find(({ folded }) => folded)).toMatchObject({ state: 'retrying', sub: '1 done, 2 now' });
    const slow = items(['done', 'done', 'failed', 'done', 'done']).map((one, index) => ({
      ...one,
      critical: index === 3,
    }));
    expect(fold(slow, none).map(({ id }) => id)).toEqual(['test.2', 'test.3', 'fold:test']);
  });

  it('says how long each of a group took, once all have ended', () => {
    const took = items(['done', 'done', 'done', 'done']).map((one, index) => ({ ...one, took: 1000 * (index + 1) }));
    expect(fold(took, none)).toMatchObject([{ sub: '4 done, 3 s each' }]);
  });

  it('makes one edge of the edges of folded members', () => {
    const nodes = fold(
      [
        task('a', 'done'),
        ...items(['done', 'done', 'done', 'done'], ['a']),
        task('z', 'idle', ['test.0', 'test.1', 'test.2', 'test.3']),
      ],
      none,
    );
    expect(nodes.find(({ id }) => id === 'z')?.needs).toEqual(['fold:test']);
    expect(nodes.find(({ id }) => id === 'fold:test')?.needs).toEqual(['a']);
  });

  it('shows a group whole when it is opened', () => {
    expect(fold(items(['done', 'done', 'done', 'done']), new Map([['test', 0]]))).toHaveLength(4);
  });

  it('shows an opened group forty at a time', () => {
    const many = items(Array.from({ length: 100 }, (): Shape => 'done'));
    const first = fold(many, new Map([['test', 0]]));
    expect(first).toHaveLength(41);
    expect(first.at(-1)).toMatchObject({ label: '60 more', opens: 'test~40' });
    const last = fold(many, new Map([['test', 80]]));
    expect(last.map(({ id }) => id).slice(0, 2)).toEqual(['test.80', 'test.81']);
    expect(last.at(-1)).toMatchObject({ label: '80 more', opens: 'test~0' });
    expect(fold(many, new Map([['all', 0]]))).toHaveLength(41);
  });

  it('folds a long plan without a forEach by its layers and by what is alike in it', () => {
    const wide = Array.from({ length: 500 }, (_, index) => task(`w${index}`, 'done'));
    expect(
      boxesOf(
        [
          ...wide,
          task(
            'end',
            'idle',
            wide.map(({ id }) => id),
          ),
        ],
        none,
        { layers: 7 },
      ),
    ).toHaveLength(2);
    const chain = Array.from({ length: 10_000 }, (_, index) =>
      task(
        `c${index}`,
        index < 5000 ? 'done' : index === 5000 ? 'running' : 'idle',
        index === 0 ? [] : [`c${index - 1}`],
      ),
    );
    expect(boxesOf(chain, none, { layers: 7 })?.length).toBeLessThanOrEqual(7);
  });

  it('draws nothing of what would be no picture any more', () => {
    const ladder = Array.from({ length: 400 }, (_, index) =>
      task(`r${index}`, 'running', index < 2 ? [] : [`r${index - 1 - (index % 2)}`]),
    );
    expect(boxesOf(ladder, none, { layers: 7 })).toBeUndefined();
  });

  it('folds ended layers and layers to come when there are more than fit', () => {
    const chain = Array.from({ length: 12 }, (_, index) =>
      task(`t${index}`, index < 5 ? 'done' : index === 5 ? 'running' : 'idle', index === 0 ? [] : [`t${index - 1}`]),
    );
    const nodes = foldEnds(fold(chain, none), 5);
    expect(nodes.map(({ id }) => id)).toContain('fold:so-far');
    expect(nodes.map(({ id }) => id)).toContain('fold:to-come');
    expect(nodes.some(({ id }) => id === 't5')).toBe(true);
    expect(nodes.flatMap(({ members }) => members)).toHaveLength(12);
  });

  it('draws the same picture for the same plan, and only the state differs when a state changes', () => {
    const picture = (state: Shape): string =>
      draw(fold([task('a', 'done'), task('b', state, ['a']), task('c', 'idle', ['b'])], none));
    expect(picture('running')).toBe(picture('running'));
    expect(picture('done').match(/<path class="tip" d="[^"]+"/g)).toEqual(
      picture('running').match(/<path class="tip" d="[^"]+"/g),
    );
  });

  it('breaks a title that is too long for a line between words, in boxes that are all higher then', () => {
    const titled = (label: string): readonly GraphNode[] =>
      ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((id, at, ids) => ({
        ...task(id, 'done', ids.slice(Math.max(0, at - 1), at)),
        label: at === 3 ? label : id,
        folded: false,
        members: [],
      }));
    const heights = (drawing: string): readonly string[] => [
      ...new Set([...drawing.matchAll(/class="card"[^>]* height="(\d+)"/g)].map(([, height = '']) => height)),
    ];
    const [short, long] = [draw(titled('Publish')), draw(titled('Apply the accepted upgrades on a branch'))];
    expect(short).not.toContain('<tspan');
    expect(long).toMatch(/>Apply the <tspan [^>]+>accepted \w+…<\/tspan>/);
    expect([heights(short), heights(long)]).toEqual([['52'], ['67']]);
    const endless = draw(titled('x'.repeat(300)));
    expect(endless).toMatch(/>x+ <tspan [^>]+>x+…<\/tspan>/);
  });

  it('draws a plan of 1,000 tasks in few boxes', () => {
    const many = Array.from({ length: 1000 }, (_, index) =>
      task(`m.${index}`, index < 990 ? 'done' : 'running', ['first'], 'm'),
    );
    const nodes = foldEnds(
      fold(
        [
          task('first', 'done'),
          ...many,
          task(
            'last',
            'idle',
            many.map(({ id }) => id),
          ),
        ],
        none,
      ),
      7,
    );
    expect(nodes.length).toBeLessThanOrEqual(7);
    expect(draw(nodes, 'down').length).toBeLessThan(16_000);
  });

  it('says each state in words for those who do not see it, and escapes what a plan says', () => {
    const [node] = fold([{ ...task('a', 'failed'), label: '<b>"x"\u202e' }], none);
    const text = draw(node ? [node] : []);
    expect(text).toContain('aria-label="&lt;b&gt;&quot;x&quot;[U+202E] failed, failed"');
    expect(text).not.toMatch(/<b>|\u202e/);
  });
});
