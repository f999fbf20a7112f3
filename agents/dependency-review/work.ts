import type { ArtifactReference } from '../../workflows/contracts/json';

/** What the work on one attempt is given; the agent's main file fills it from the SDK's context. */
export interface Work {
  readonly planId: string;
  /** Empty folder of this attempt alone, removed after it. */
  readonly folder: string;
  readonly signal: AbortSignal;
  progress(message: string): void;
  /** Keeps a document; the same content again gives the same reference. */
  keep(document: {
    readonly name: string;
    readonly mediaType: string;
    readonly bytes: Buffer;
  }): Promise<ArtifactReference>;
  /** Writes an artifact to a file. */
  fetch(reference: ArtifactReference, file: string): Promise<void>;
}

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
}
