import { messageOf } from '../../dsl/errors';
import type { BlobSpace, SpaceAnswer, SpaceChange } from '../ports/blob-space';
import type { ChildMessage, ParentMessage } from './protocol';

type SpaceRequest = Extract<ChildMessage, { type: 'space' }>;

/** Answers what one child asks of the account of blobs, and knows which of its changes are under way. */
export class ParentSpace {
  readonly #open = new Map<string, SpaceChange>();

  constructor(
    private readonly space: BlobSpace,
    private readonly answer: (message: ParentMessage) => void,
  ) {}

  /** Never throws: what fails is told to the child. */
  async receive({ call, method, change }: SpaceRequest): Promise<void> {
    try {
      const ask = this.space[method] as (change: SpaceChange) => Promise<unknown>;
      const answer = await ask.call(this.space, change);
      if (method === 'begin') this.#begun(change.tenant, answer as SpaceAnswer);
      else if (method !== 'extend') this.#open.delete(change.id);
      this.answer({ type: 'space', call, answer });
    } catch (error) {
      this.answer({ type: 'space', call, failure: messageOf(error) });
    }
  }

  /** The child is gone: what it was changing may be changed or not. */
  async end(): Promise<void> {
    const changes = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(changes.map((change) => this.space.lose(change)));
  }

  #begun(tenant: string, answer: SpaceAnswer): void {
    if (answer.kind === 'granted' || answer.kind === 'count') this.#open.set(answer.id, { tenant, id: answer.id });
  }
}
