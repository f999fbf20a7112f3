/** Where and how the agent works; the same for every attempt. */
export interface Workplace {
  /** Branches live here from one task of a plan to the next, in a bare repository a plan. */
  readonly repositories: string;
  /** Where publish-artifacts puts documents, in a folder a plan. */
  readonly publications: string;
  /** Environment of npm: PATH, HOME and npm's own settings, so that the registry is the user's. */
  readonly npmEnvironment: Readonly<Record<string, string>>;
  /** PATH for programs that get no setting of the user's: the project's tests, git. */
  readonly path: string;
  /** Whom the project's tests run as; absent: the agent's own user. */
  readonly programUser?: string | undefined;
}
