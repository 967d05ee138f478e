/**
 * Something that is known to what is called, and to what that calls, until it first waits; what comes after the wait is not told of it, nor of another's.
 * AsyncLocalStorage would know it for longer, and cost too much: docs/decisions/023-known-at-the-call.md.
 */
export class CallScope<Value> {
  /** Set while such a call runs: never between two turns of the event loop. */
  #current: Value | undefined;

  get current(): Value | undefined {
    return this.#current;
  }

  run<T>(value: Value, work: () => T): T {
    const around = this.#current;
    this.#current = value;
    try {
      return work();
    } finally {
      this.#current = around;
    }
  }
}
