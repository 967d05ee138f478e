import type { Logger } from '../logger';

/** Since when traces are not sent, and why. */
export interface TraceOutage {
  /** In ms since 1970. */
  readonly since: number;
  readonly message: string;
}

/** Knows whether the collector takes the spans, and says so once when that changes. */
export class TraceHealth {
  #outage: TraceOutage | undefined;
  #lost = 0;

  constructor(private readonly logger: Logger) {}

  /** Undefined where all is well. */
  get outage(): TraceOutage | undefined {
    return this.#outage;
  }

  /** Spans were lost. */
  lost(spans: number, message: string): void {
    this.#lost += spans;
    if (this.#outage !== undefined) return;
    this.#outage = { since: Date.now(), message };
    this.logger.log('warn', 'traces cannot be sent; flows go on without them', { error: message });
  }

  /** Spans were sent. */
  sent(): void {
    if (this.#outage === undefined) return;
    this.logger.log('info', 'traces are sent again', { lost_spans: this.#lost });
    this.#outage = undefined;
    this.#lost = 0;
  }
}
