/** State of one thing that the process cannot work without. */
export interface DependencyHealth {
  readonly name: string;
  readonly healthy: boolean;
  readonly milliseconds: number;
  readonly problem?: string;
}
export interface Health {
  /** Asks every dependency by a real operation, each for at most `timeoutMs`. Never rejects. */
  check(): Promise<readonly DependencyHealth[]>;
}

export function createHealth(dependencies: Readonly<Record<string, () => Promise<unknown>>>, timeoutMs = 2000): Health {
  const ask = async ([name, probe]: [string, () => Promise<unknown>]): Promise<DependencyHealth> => {
    const begun = Date.now();
    let timer: NodeJS.Timeout | undefined;
    try {
      await Promise.race([
        probe(),
        new Promise((_resolve, reject) => {
          timer = setTimeout(() => {
            reject(new Error(`no answer within ${timeoutMs} ms`));
          }, timeoutMs);
        }),
      ]);
      return { name, healthy: true, milliseconds: Date.now() - begun };
    } catch (error) {
      // The first line is enough for people; the rest of a driver's error may name hosts and users.
      return {
        name,
        healthy: false,
        milliseconds: Date.now() - begun,
        problem: (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '',
      };
    } finally {
      clearTimeout(timer);
    }
  };
  return { check: () => Promise.all(Object.entries(dependencies).map(ask)) };
}
