import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from './random';

const ROOT = process.env.BEAMLINE_ROOT ?? process.cwd();
/** A command is killed at a moment before it is through, as a rule: it takes about a second. */
const KILL_WITHIN_MS = 1_500;
/** No command takes longer, whatever is away; following a flow is another thing. */
const PATIENCE_MS = 60_000;
/** Each takes a processor for a while. */
const AT_ONCE = 3;

/** How a command ended. */
export interface CommandEnd {
  /** Exit code; null where it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In what way a command is given: as it should be, ended in the middle as by a crash, or by two people at the same moment. */
export type Manner = 'once' | 'killed' | 'twice';

/** When something happened that is part of the load. */
export interface Occasion {
  readonly from: number;
  readonly to: number;
}

export interface CommandOptions {
  readonly args: readonly string[];
  readonly manner: Manner;
  readonly random: Random;
  /** Exit codes that are right, beside those of an outage: 1 for no answer of a worker, 3 for none of Temporal. */
  readonly allowed?: readonly number[];
  /** It follows a flow: it is killed later, and may take as long as it likes. */
  readonly isFollowing?: boolean;
}

/** `beamline` on the command line, through the same network as workers have it. */
export class Commands {
  /** What commands did that they should not. */
  readonly problems: string[] = [];
  readonly occasions: Readonly<Record<Manner, Occasion[]>> = { once: [], killed: [], twice: [] };
  readonly #running = new Set<() => void>();
  #free = AT_ONCE;

  constructor(private readonly flags: () => readonly string[]) {}

  /** Gives a command, in its manner; resolves with how each of its processes ended. */
  async give({ args, manner, random, allowed = [0], isFollowing = false }: CommandOptions): Promise<CommandEnd[]> {
    const from = Date.now();
    const killAfterMs =
      manner === 'killed' ? random.between(50, isFollowing ? 2 * KILL_WITHIN_MS : KILL_WITHIN_MS) : undefined;
    const runs = Array.from({ length: manner === 'twice' ? 2 : 1 }, () =>
      this.#run(args, { killAfterMs, isFollowing }),
    );
    const ends = await Promise.all(runs);
    // One that was quicker was not killed.
    const was = manner === 'killed' && ends.every(({ code }) => code !== null) ? 'once' : manner;
    this.occasions[was].push({ from, to: Date.now() });
    for (const end of ends) this.#judge(args, end, [...allowed, ...(manner === 'twice' ? [1, 2] : [])]);
    return ends;
  }

  /** Waits until those that run have ended; what has not by then is a problem. */
  async settle(deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    while (this.#running.size > 0 && Date.now() < until) await delay(100);
    if (this.#running.size > 0) this.problems.push(`${this.#running.size} commands did not end with their flows`);
  }

  /** Ends those that run. */
  stop(): void {
    for (const kill of this.#running) kill();
  }

  #judge(args: readonly string[], { code, stdout, stderr }: CommandEnd, allowed: readonly number[]): void {
    const isOutage = (code === 1 || code === 3) && stderr.includes('BLW_TEMPORAL_UNREACHABLE');
    const hasTrace = /^\s+at .*:\d+:\d+\)?$/m.test(stderr);
    if (code === null || ((allowed.includes(code) || isOutage) && !hasTrace)) return;
    this.problems.push(`beamline ${args.join(' ')}: exit code ${code}: ${(stderr || stdout).trim().slice(0, 600)}`);
  }

  async #run(
    args: readonly string[],
    { killAfterMs, isFollowing }: { killAfterMs: number | undefined; isFollowing: boolean },
  ): Promise<CommandEnd> {
    if (isFollowing) return await this.#spawn(args, { killAfterMs, isFollowing });
    while (this.#free === 0) await delay(50);
    this.#free -= 1;
    try {
      return await this.#spawn(args, { killAfterMs, isFollowing });
    } finally {
      this.#free += 1;
    }
  }

  #spawn(
    args: readonly string[],
    { killAfterMs, isFollowing }: { killAfterMs: number | undefined; isFollowing: boolean },
  ): Promise<CommandEnd> {
    const child = spawn(process.execPath, [join(ROOT, 'bin', 'beamline.js'), ...args, ...this.flags()], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    const kill = (): void => void child.kill('SIGKILL');
    this.#running.add(kill);
    const timers = killAfterMs === undefined ? [] : [setTimeout(kill, killAfterMs)];
    if (!isFollowing)
      timers.push(
        setTimeout(() => {
          this.problems.push(`beamline ${args.join(' ')}: did not end within ${PATIENCE_MS / 1_000} s`);
          kill();
        }, PATIENCE_MS),
      );
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        for (const timer of timers) clearTimeout(timer);
        this.#running.delete(kill);
        resolve({ code, ...said });
      });
    });
  }
}
