import { type BlobSpace, SPACE_METHODS, type SpaceChange } from '../ports/blob-space';
import type { ChildMessage, ParentMessage } from './protocol';

type SpaceAnswerMessage = Extract<ParentMessage, { type: 'space' }>;

/** The account of blobs, which a child asks of its parent: so it needs no store of its own, and no password of one. */
export class ChildSpace {
  readonly #calls = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  #lastCall = 0;

  /** `send` gives a message to the parent; `jobId` is that of the job that runs. */
  constructor(
    private readonly send: (message: ChildMessage) => void,
    private readonly jobId: () => number,
  ) {}

  get port(): BlobSpace {
    const methods = SPACE_METHODS.map(
      (method) => [method, (change: SpaceChange) => this.#ask(method, change)] as const,
    );
    return Object.fromEntries(methods) as unknown as BlobSpace;
  }

  receive({ call, answer, failure }: SpaceAnswerMessage): void {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (failure === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(failure));
  }

  #ask(method: (typeof SPACE_METHODS)[number], change: SpaceChange): Promise<unknown> {
    const call = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.send({ type: 'space', id: this.jobId(), call, method, change });
    });
  }
}
