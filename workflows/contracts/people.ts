/** The three roles of the specification (RBAC Configuration). */
export const roles = ['aats-admin', 'aats-operator', 'aats-viewer'] as const;
export type Role = (typeof roles)[number];

/** A signed-in person as the workflows see one; made by the edge from a verified token, never from a body. */
export interface Person {
  /** Name in the directory: `[a-z0-9][a-z0-9._-]{0,62}`. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly groups: readonly string[];
}

/** `role:<role>`, `group:<name>` or `person:<name>` (plan language, kind *who*). */
export type Who = string;

export function isOneOf(person: Person, who: readonly Who[]): boolean {
  return who.some((entry) => {
    const [kind, name] = [entry.slice(0, entry.indexOf(':')), entry.slice(entry.indexOf(':') + 1)];
    if (kind === 'person') return person.name === name;
    if (kind === 'group') return person.groups.includes(name);
    return kind === 'role' && person.roles.some((role) => role === name);
  });
}
