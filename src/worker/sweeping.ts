import type { Logger } from './logger';

/** How often content that nobody uses is looked for, and how old content without a blob must be. */
export const SWEEP_EVERY_MS = 3_600_000;

/** Something that content is left behind in, and how it is swept. */
export interface Sweepable {
  /** What the log calls it. */
  readonly name: string;
  readonly sweep: () => Promise<{ readonly removed: number; readonly freedBytes: number }>;
}

/** Sweeps again and again until it is ended; what cannot be swept is said in the log. */
export function startSweeping(all: readonly Sweepable[], logger: Logger): { end(): void } {
  const timer = setInterval(() => {
    for (const { name, sweep } of all) {
      sweep().then(
        ({ removed, freedBytes }) => logger.log('debug', `${name} swept`, { removed, freed_bytes: freedBytes }),
        (error: unknown) => logger.log('warn', `${name} could not be swept`, { error: String(error) }),
      );
    }
  }, SWEEP_EVERY_MS);
  return { end: () => clearInterval(timer) };
}
