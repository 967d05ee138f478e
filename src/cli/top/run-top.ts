import { setTimeout as delay } from 'node:timers/promises';
import type { Style } from '../output';
import { drawTop, type Frame } from './draw-top';
import { paint } from './lines';
import type { TopScreen } from './top-screen';
import { type TopSample, topView } from './top-view';

/** Draws the newest frame: of the last two samples. */
export class LiveFrames {
  #before: TopSample | undefined;
  #now: TopSample;

  constructor(
    first: TopSample,
    private readonly to: {
      readonly screen: TopScreen;
      readonly style: Style;
      readonly around: Pick<Frame, 'address' | 'namespace' | 'footer'>;
    },
  ) {
    this.#now = first;
  }

  add(sample: TopSample): void {
    this.#before = this.#now;
    this.#now = sample;
    this.draw();
  }

  /** Again, too, where the terminal has another size now. */
  draw(): void {
    const { screen, style, around } = this.to;
    const lines = drawTop(topView(this.#before, this.#now), { ...around, ...screen.size() });
    screen.draw(lines.map((line) => paint(line, style)));
  }
}

/** What a live view is made from. */
export interface LiveParts {
  read(): Promise<TopSample>;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
}

/** Reads and draws until the signal is aborted. Rejects with what reading throws. */
export async function runTop(frames: LiveFrames, parts: LiveParts): Promise<void> {
  frames.draw();
  // What is being read when somebody presses q is not waited for.
  await Promise.race([keepDrawing(frames, parts), aborted(parts.signal)]);
}

async function keepDrawing(frames: LiveFrames, { read, intervalMs, signal }: LiveParts): Promise<void> {
  while (await pause(intervalMs, signal)) {
    const sample = await read();
    if (!signal.aborted) frames.add(sample);
  }
}

/** False where the signal was aborted meanwhile. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    throw error;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
