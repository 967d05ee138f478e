import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EffectLine, Moment, Order, Report, Weather } from './effects';

/** The process of the ledger, from the driver's side. */
export class Ledger {
  private constructor(
    private readonly child: ChildProcess,
    private readonly file: string,
    /** Of its HTTP server. */
    readonly port: number,
  ) {}

  static async start(folder: string): Promise<Ledger> {
    const file = join(folder, 'effects.jsonl');
    const child = fork(join(__dirname, 'ledger-main.js'), [file], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const [report] = (await once(child, 'message')) as [Report];
    if (report.kind !== 'listening') throw new Error(`the ledger said ${report.kind} first`);
    return new Ledger(child, file, report.port);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves with how many requests met the weather before. */
  async setWeather(weather: Weather): Promise<number> {
    const changed = this.#report('changed');
    this.#send({ kind: 'weather', weather });
    return (await changed).requests;
  }

  /** Lets the next request with an effect stand still at a moment; undefined where none came within the time. */
  async trap(moment: Moment, isForUnsafe: boolean, timeoutMs: number): Promise<number | undefined> {
    this.#send({ kind: 'trap', moment, isForUnsafe });
    const trapped = this.#report('trapped', AbortSignal.timeout(timeoutMs));
    try {
      return (await trapped).remotePort;
    } catch {
      this.release();
      return undefined;
    }
  }

  /** The service takes requests through this gate from now on. */
  open(name: string): void {
    this.#send({ kind: 'open', name });
  }

  release(): void {
    this.#send({ kind: 'go' });
  }

  /** Everything that was done so far. */
  lines(): EffectLine[] {
    const text = readFileSync(this.file, 'utf8');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as EffectLine);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.disconnect();
    await ended;
  }

  async #report<K extends Report['kind']>(kind: K, signal?: AbortSignal): Promise<Extract<Report, { kind: K }>> {
    for (;;) {
      const [report] = (await once(this.child, 'message', { signal })) as [Report];
      if (report.kind === kind) return report as Extract<Report, { kind: K }>;
    }
  }

  #send(order: Order): void {
    this.child.send(order);
  }
}
