export interface Slots {
  /** Waits for a free slot; gives the function that frees it again. */
  take(): Promise<() => void>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

/** As many at once as the capacity says, first come, first served. */
export function createSlots(capacity: number): Slots {
  let used = 0;
  const waiting: (() => void)[] = [];
  const watchers: (() => void)[] = [];
  const free = (): void => {
    used -= 1;
    waiting.shift()?.();
    if (used === 0) for (const watcher of watchers.splice(0)) watcher();
  };
  return {
    async take() {
      while (used >= capacity) await new Promise<void>((resolve) => waiting.push(resolve));
      used += 1;
      let freed = false;
      return () => {
        if (freed) return;
        freed = true;
        free();
      };
    },
    idle: () => (used === 0 ? Promise.resolve() : new Promise((resolve) => watchers.push(resolve))),
  };
}
