import type { Json, JsonObject } from './contracts/json';
import { hasPlace, pointerTokens } from './json-pointer';
import { didYouMean, nearest, type ProblemList } from './plan-problems';
import { isArray, isObject, kebab } from './plan-values';

/** Who there is, as far as it is known; without it nothing is said about people. */
export interface PlanDirectory {
  readonly people: readonly {
    readonly name: string;
    readonly roles: readonly string[];
    readonly groups: readonly string[];
  }[];
}

const deciders = ['aats-admin', 'aats-operator'];

/** Checks every place where people are named: that they exist, may decide, and that somebody is left. */
export function checkApprovals(
  plan: JsonObject,
  problems: ProblemList,
  directory: PlanDirectory | undefined,
  requester: string | undefined,
): void {
  const visit = (owner: JsonObject, pointer: string): void => {
    if (isArray(owner['tasks'])) {
      owner['tasks'].forEach((task, index) => {
        if (!isObject(task)) return;
        const at = `${pointer}/tasks/${index}`;
        if (isObject(task['approval'])) checkEditable(task['approval'], task['with'], `${at}/approval`, problems);
        if (isObject(task['approval']))
          checkApproval(task['approval'], `${at}/approval`, 'forEach' in task, problems, directory, requester);
        if (isObject(task['ask'])) checkPeople(task['ask'], `${at}/ask`, problems, directory);
      });
    }
  };
  visit(plan, '');
  if (isObject(plan['plans']))
    for (const [name, sub] of Object.entries(plan['plans'])) if (isObject(sub)) visit(sub, `/plans/${name}`);
  for (const field of ['budget', 'questions', 'revisionApproval'])
    if (isObject(plan[field])) checkPeople(plan[field], `/${field}`, problems, directory);
}

function checkApproval(
  approval: JsonObject,
  at: string,
  isForEach: boolean,
  problems: ProblemList,
  directory: PlanDirectory | undefined,
  requester: string | undefined,
): void {
  checkPeople(approval, at, problems, directory);
  if ('editable' in approval && isForEach)
    problems.error(
      'CONFLICT',
      `${at}/editable`,
      'Items of forEach have arguments of their own; to edit them one by one, put the task into a plan and use that plan with forEach.',
    );
  else if ('editable' in approval && approval['at'] === 'after')
    problems.error('CONFLICT', `${at}/editable`, 'After a task there are no arguments to edit; use at: before.');
  if ('form' in approval && approval['at'] === 'after')
    problems.error(
      'CONFLICT',
      `${at}/form`,
      'The answer of a form goes into with, so it must be asked before the task.',
    );
  if ('quorum' in approval && approval['unanimous'] === true)
    problems.error('CONFLICT', `${at}/unanimous`, 'quorum and unanimous exclude each other; keep one.');
  const by = isArray(approval['by']) ? approval['by'].filter((one): one is string => typeof one === 'string') : [];
  const quorum = approval['quorum'];
  if (typeof quorum === 'number' && by.length > 0 && by.every((who) => who.startsWith('person:')) && by.length < quorum)
    problems.error(
      'UNSAFE_APPROVAL',
      `${at}/quorum`,
      `${quorum} people must approve, but by names only ${by.length}; nobody could ever pass this.`,
    );
  const choices = approval['choices'];
  if (isArray(choices))
    for (const effect of ['approve', 'reject'])
      if (!choices.some((one) => isObject(one) && one['effect'] === effect))
        problems.error(
          'UNSAFE_APPROVAL',
          `${at}/choices`,
          `No choice has the effect ${effect}; people must be able to ${effect}.`,
        );
  if (!directory || problems.touches(`${at}/by`) || by.length === 0) return;
  const left = directory.people.filter(
    ({ name, roles, groups }) =>
      roles.some((role) => deciders.includes(role)) &&
      !(approval['fourEyes'] !== false && name === requester) &&
      by.some(
        (who) =>
          who === `person:${name}` ||
          groups.includes(who.replace(/^group:/, '')) ||
          roles.includes(who.replace(/^role:/, '')),
      ),
  );
  if (left.length === 0)
    problems.error(
      'NO_APPROVER',
      `${at}/by`,
      `Nobody of ${by.join(', ')} could answer${approval['fourEyes'] === false ? '' : ', the one who starts the plan left out'}; name somebody else.`,
    );
}

/** What may be edited has a place in the arguments, as far as these are written out: an edit is never lost. */
function checkEditable(approval: JsonObject, args: Json | undefined, at: string, problems: ProblemList): void {
  if (!isArray(approval['editable'])) return;
  approval['editable'].forEach((one, index) => {
    const path = isObject(one) ? one['path'] : undefined;
    const pointer = `${at}/editable/${index}/path`;
    if (typeof path !== 'string' || problems.touches(pointer)) return;
    if (hasPlace(args ?? {}, pointerTokens(path), isComputed)) return;
    problems.error('BAD_VALUE', pointer, `with has no place "${path}" to edit; write that argument down in with.`);
  });
}
const isComputed = (value: Json): boolean => typeof value === 'string' && value.includes('${{');

function checkPeople(owner: JsonObject, at: string, problems: ProblemList, directory: PlanDirectory | undefined): void {
  const lists: [string, Json | undefined][] = [
    ['by', owner['by']],
    ['veto', owner['veto']],
  ];
  if (isArray(owner['escalation']))
    owner['escalation'].forEach((one, index) => {
      if (isObject(one)) lists.push([`escalation/${index}/to`, one['to']]);
    });
  for (const [name, list] of lists)
    if (isArray(list))
      list.forEach((who, index) => {
        if (typeof who === 'string' && !who.includes('${{'))
          checkWho(who, `${at}/${name}/${index}`, problems, directory);
      });
}

function checkWho(who: string, at: string, problems: ProblemList, directory: PlanDirectory | undefined): void {
  const match = /^(role|group|person):([a-z0-9][a-z0-9._-]{0,62})$/.exec(who);
  if (!match) {
    if (who === '') return; // said by the shape
    const name = kebab(who.includes(':') ? who.slice(who.indexOf(':') + 1) : who) || 'maintainers';
    problems.error(
      'BAD_VALUE',
      at,
      `"${who}" does not say who; write group:${name}, person:${name} or role:aats-operator.`,
    );
    return;
  }
  const [, kind = '', name = ''] = match;
  if (kind === 'role') {
    if (name === 'aats-viewer')
      problems.error(
        'UNKNOWN_WHO',
        at,
        'aats-viewer may not decide, because it cannot update tasks; name aats-operator, aats-admin or a group.',
      );
    else if (!deciders.includes(name))
      problems.error(
        'UNKNOWN_WHO',
        at,
        `There is no role "${name}"; the roles are aats-admin and aats-operator, and a team is written group:${name}.`,
      );
    return;
  }
  if (!directory) return;
  const known =
    kind === 'person'
      ? directory.people.map((one) => one.name)
      : [...new Set(directory.people.flatMap(({ groups }) => groups))];
  if (known.includes(name)) return;
  const suggestion = nearest(name, known);
  problems.error(
    'UNKNOWN_WHO',
    at,
    `There is no ${kind} "${name}"; ${suggestion === undefined ? `there are ${known.slice(0, 12).join(', ') || 'none'}.` : didYouMean(name, known)}`,
  );
}
