import type { PortCall, PortObserver } from '../port-observer';
import type { ChildMessage } from './protocol';

/** Calls that are kept of one job; a block makes one or two. What comes after them is not told. */
const MAX_KEPT = 1_000;

/** Notes what a job does with its ports, to be told to the parent in one message. */
export class CallRecord {
  #calls: PortCall[] = [];
  #bytes = new Map<string, PortCall & { port: 'bytes' }>();

  /** Bytes are added up: a stream tells of each of its pieces. */
  readonly add: PortObserver = (call) => {
    if (call.port === 'bytes') {
      const key = `${call.of} ${call.direction}`;
      this.#bytes.set(key, { ...call, bytes: call.bytes + (this.#bytes.get(key)?.bytes ?? 0) });
    } else if (this.#calls.length < MAX_KEPT) {
      this.#calls.push(call);
    }
  };

  flush(id: number, send: (message: ChildMessage) => void): void {
    const calls = [...this.#calls, ...this.#bytes.values()];
    this.#calls = [];
    this.#bytes.clear();
    if (calls.length > 0) send({ type: 'calls', id, calls });
  }
}
