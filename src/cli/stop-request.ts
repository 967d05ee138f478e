import { EXIT } from './exit-codes';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Thrown out of {@link StopRequest.interrupting} when the stop came first. */
export class Stopped extends Error {
  override readonly name = 'Stopped';

  constructor(readonly reason: string) {
    super(`stopped by ${reason}`);
  }
}

/**
 * The wish to stop in good order: SIGINT (Ctrl-C), SIGTERM, SIGHUP, or a call of `request`. A second SIGINT ends the process
 * at once, with exit code 130.
 */
export class StopRequest {
  readonly #controller = new AbortController();
  readonly #wanted: Promise<string>;
  #count = 0;

  /** `onFirst` is called once, when the first wish arrives: say there what happens now. */
  constructor(private readonly onFirst: (reason: string) => void) {
    this.#wanted = new Promise((resolve) => {
      const tell = () => resolve((this.signal.reason as Stopped).reason);
      this.signal.addEventListener('abort', tell, { once: true });
    });
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  /** Aborted with {@link Stopped} as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  request(reason: string): void {
    if (this.signal.aborted) return;
    this.onFirst(reason);
    this.#controller.abort(new Stopped(reason));
  }

  /** Resolves with the reason when somebody wants to stop. */
  wanted(): Promise<string> {
    return this.#wanted;
  }

  /** The result of `work`, or a rejection with {@link Stopped} where the stop comes first; the work is left alone. */
  async interrupting<T>(work: Promise<T>): Promise<T> {
    return Promise.race([
      work,
      this.wanted().then((reason): never => {
        throw new Stopped(reason);
      }),
    ]);
  }

  /** Signals have their usual effect again. */
  release(): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.#count += 1;
    if (signal === 'SIGINT' && this.#count > 1) process.exit(EXIT.interrupted);
    this.request(signal);
  };
}
