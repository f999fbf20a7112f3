import { fold, foldEnds, type GraphTask } from '../../services/hitl/page/graph-fold';
import { drawGraph } from '../../services/hitl/page/graph-svg';
import type { Shape } from '../../services/hitl/page/marks';

const task = (id: string, state: Shape, needs: readonly string[] = [], group?: string): GraphTask => ({
  id,
  label: id,
  sub: state,
  state,
  needs,
  critical: false,
  gate: false,
  ...(group !== undefined && { group: { id: group, label: group } }),
});
const items = (states: readonly Shape[], needs: readonly string[] = []): readonly GraphTask[] =>
  states.map((state, index) => task(`test.${index}`, state, needs, 'test'));
const none = new Set<string>();

describe('the drawing of a plan', () => {
  it('folds what went well into one box and leaves out what needs a look', () => {
    const nodes = fold([...items(['done', 'failed', 'done', 'running', 'done', 'you'])], none);
    expect(nodes.map(({ id, folded }) => [id, folded])).toEqual([
      ['test.5', false],
      ['test.1', false],
      ['test.3', false],
      ['fold:test', true],
    ]);
    expect(nodes.at(-1)).toMatchObject({ state: 'done', sub: '3 done' });
  });

  it('keeps at most four of a group out, the most urgent first', () => {
    const nodes = fold(items(['failed', 'failed', 'failed', 'running', 'failed', 'you', 'done']), none);
    expect(nodes.filter(({ folded }) => !folded).map(({ state }) => state)).toEqual([
      'you',
      'failed',
      'failed',
      'failed',
    ]);
    expect(nodes.find(({ folded }) => folded)).toMatchObject({ state: 'failed', sub: '1 done, 1 failed' });
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
    expect(fold(items(['done', 'done', 'done', 'done']), new Set(['test']))).toHaveLength(4);
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
    const draw = (state: Shape): string =>
      drawGraph(
        fold([task('a', 'done'), task('b', state, ['a']), task('c', 'idle', ['b'])], none),
        'across',
        ({ id }) => `#${id}`,
      ).text;
    expect(draw('running')).toBe(draw('running'));
    expect(draw('done').match(/<path class="tip" d="[^"]+"/g)).toEqual(
      draw('running').match(/<path class="tip" d="[^"]+"/g),
    );
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
    expect(drawGraph(nodes, 'down', ({ id }) => id).text.length).toBeLessThan(16_000);
  });

  it('says each state in words for those who do not see it, and escapes what a plan says', () => {
    const [node] = fold([{ ...task('a', 'failed'), label: '<b>"x"' }], none);
    const { text } = drawGraph(node ? [node] : [], 'across', () => '/x');
    expect(text).toContain('aria-label="&lt;b&gt;&quot;x&quot; failed, failed"');
    expect(text).not.toContain('<b>');
  });
});
