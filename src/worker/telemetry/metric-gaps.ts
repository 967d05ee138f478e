import type { Conditions } from './conditions';

/** A source of metrics: the SDK's core, the task queues, the state store and Temporal's lists. */
type Source = 'core' | 'queues' | 'installation';

/** Which metrics are missing from the page, so that nobody takes a gap for a good sign. */
export class MetricGaps {
  readonly #missing = new Map<Source, string>();

  constructor(private readonly conditions: Conditions) {}

  /** Why those of a source are missing; undefined: they are there. */
  tell(source: Source, message: string | undefined): void {
    if (message === undefined) this.#missing.delete(source);
    else this.#missing.set(source, message);
    const [first] = this.#missing.values();
    this.conditions.tell('metrics', first);
  }
}
