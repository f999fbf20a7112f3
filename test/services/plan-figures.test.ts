import { create } from '@bufbuild/protobuf';
import { type TaskState, TaskStateSchema } from '../../proto/aats/project/v1/project_pb';
import { criticalPath } from '../../services/runtime/plan-figures';

const task = (id: string, needs: readonly string[] = []): TaskState =>
  create(TaskStateSchema, { id, needs: [...needs] });
const pathOf = (tasks: readonly TaskState[], took: Readonly<Record<string, number>> = {}): readonly string[] => [
  ...criticalPath(tasks, ({ id }) => took[id] ?? 0),
];

describe('the longest way through a plan', () => {
  it('is that of what took longest, and of the most tasks where nothing ran', () => {
    const tasks = [task('a'), task('quick', ['a']), task('slow', ['a']), task('end', ['slow', 'quick']), task('alone')];
    expect(pathOf(tasks, { slow: 5000 })).toEqual(['end', 'slow', 'a']);
    expect(pathOf(tasks, { alone: 60_000 })).toEqual(['alone']);
    expect(pathOf(tasks)).toEqual(['end', 'quick', 'a']);
  });

  it('is found in a plan that lists ten thousand tasks from the last to the first', () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => task(`t${at}`, at < 9999 ? [`t${at + 1}`] : []));
    expect(pathOf(chain)).toHaveLength(10_000);
  });
});
