import type { TaskState } from '../../../proto/aats/project/v1/project_pb';
import { keyWords } from './values';

/** What tasks are called on the page. */
export interface Titles {
  /** A task; an item of a forEach by what is its own among its siblings. */
  short(task: TaskState): string;
  full(task: TaskState): string;
}

/** A task without a title is called by its id, as words. */
const titleOf = ({ id, title }: TaskState): string => (title === id || title === '' ? keyWords(id) : title);

function commonStart(titles: readonly string[]): readonly string[] {
  const [first = '', ...others] = titles;
  const words = first.split(' ').slice(0, -1);
  let count = words.length;
  for (const other of others) {
    const these = other.split(' ');
    while (count > 0 && !words.slice(0, count).every((word, index) => word === these[index])) count--;
  }
  return words.slice(0, count);
}

/** Items' titles begin alike: that is the name of their forEach, and the rest is the name of each. */
export function titlesOf(tasks: readonly TaskState[]): Titles {
  const items = new Map<string, string[]>();
  for (const task of tasks)
    if (task.parent !== undefined) items.set(task.parent, [...(items.get(task.parent) ?? []), titleOf(task)]);
  const starts = new Map([...items].map(([id, titles]) => [id, titles.length > 1 ? commonStart(titles) : []]));
  const group = (task: TaskState): string | undefined => {
    const start = starts.get(task.id);
    return start && start.length > 0 ? `${start.join(' ')} …` : undefined;
  };
  return {
    short: (task) => {
      if (task.parent === undefined) return group(task) ?? titleOf(task);
      return titleOf(task)
        .split(' ')
        .slice(starts.get(task.parent)?.length ?? 0)
        .join(' ');
    },
    full: (task) => group(task) ?? titleOf(task),
  };
}
