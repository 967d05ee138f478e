import { type ChildProcess, fork } from 'node:child_process';
import type { EngineLimits, HostJob, HostReply, HostRequest, Outcome } from './protocol';

/** How a job ended in its host; `lost`: the process ended before. */
export type HostOutcome = Outcome | { readonly kind: 'lost'; readonly began: boolean };

interface Pending {
  began: boolean;
  readonly settle: (outcome: HostOutcome) => void;
}

/** How long a host may take to end its threads. */
const CLOSE_GRACE_MS = 2_000;

/** All that the process sees of the environment: what Windows cannot do without, and a time zone that tells nothing. */
const PASSED_ENVIRONMENT = ['SystemRoot', 'TEMP'];

/** The process in which expressions are evaluated. */
export class ExpressionHost {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #jobs = 0;
  #hasExited = false;

  constructor(options: { readonly entry: string; readonly limits: EngineLimits }) {
    const passed = PASSED_ENVIRONMENT.map((name) => [name, process.env[name]] as const);
    this.#child = fork(options.entry, [JSON.stringify(options.limits)], {
      env: { TZ: 'UTC', ...Object.fromEntries(passed.filter(([, value]) => value !== undefined)) },
      execArgv: ['--disallow-code-generation-from-strings'],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.on('message', (reply: HostReply) => this.#receive(reply));
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.#hasExited = true;
        for (const { settle, began } of this.#pending.values()) settle({ kind: 'lost', began });
        this.#pending.clear();
        resolve();
      };
      this.#child.once('exit', end);
      // Alone where the process could not be started; also where a message could not be sent.
      this.#child.on('error', () => {
        if (this.#child.pid === undefined) end();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isUsable(): boolean {
    return !this.#hasExited && this.#child.connected;
  }

  /** Does a job. Never rejects. */
  run(job: HostJob): Promise<HostOutcome> {
    return new Promise((settle) => {
      this.#jobs += 1;
      const id = this.#jobs;
      if (this.#hasExited) {
        settle({ kind: 'lost', began: false });
        return;
      }
      this.#pending.set(id, { began: false, settle });
      this.#send({ type: 'job', id, job });
    });
  }

  /** Lets the process end its threads and itself. Resolves when it is gone. */
  async close(): Promise<void> {
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), CLOSE_GRACE_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #receive(reply: HostReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    if (reply.type === 'began') {
      pending.began = true;
      return;
    }
    this.#pending.delete(reply.id);
    pending.settle(reply.outcome);
  }

  #send(request: HostRequest): void {
    // A process that cannot be reached has ended or is about to, which its exit tells.
    if (this.#child.connected) this.#child.send(request, () => undefined);
  }
}
