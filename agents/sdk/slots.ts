/** A place for one task; freeing it twice is freeing it once. */
export interface Slot {
  free(): void;
}
export interface Slots {
  /** A free slot now, or none. */
  now(): Slot | undefined;
  /** Waits for a free slot, first come, first served; none when the signal came first. */
  next(signal: AbortSignal): Promise<Slot | undefined>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

/** As many tasks at once as the capacity says. */
export function createSlots(capacity: number): Slots {
  let used = 0;
  const waiting = new Set<() => void>();
  const watchers: (() => void)[] = [];
  const occupy = (): Slot => {
    used += 1;
    let isFree = false;
    return {
      free() {
        if (isFree) return;
        isFree = true;
        used -= 1;
        const [first] = waiting;
        first?.();
        if (used === 0) for (const watcher of watchers.splice(0)) watcher();
      },
    };
  };
  const now = (): Slot | undefined => (used < capacity && waiting.size === 0 ? occupy() : undefined);
  return {
    now,
    next: (signal) =>
      new Promise((resolve) => {
        const slot = signal.aborted ? undefined : now();
        if (slot || signal.aborted) {
          resolve(slot);
          return;
        }
        const leave = (): void => {
          waiting.delete(take);
          signal.removeEventListener('abort', giveUp);
        };
        const take = (): void => {
          leave();
          resolve(occupy());
        };
        const giveUp = (): void => {
          leave();
          resolve(undefined);
        };
        waiting.add(take);
        signal.addEventListener('abort', giveUp, { once: true });
      }),
    idle: () => (used === 0 ? Promise.resolve() : new Promise((resolve) => watchers.push(resolve))),
  };
}
