import type { Logger } from '../logger';
import type { Conditions } from '../telemetry/conditions';

/** Knows whether the collector takes the spans, and says so once when that changes: to the log, and to whoever answers about health. */
export class TraceHealth {
  #isAway = false;
  #lost = 0;

  constructor(
    private readonly logger: Logger,
    private readonly conditions?: Pick<Conditions, 'degrade' | 'recover'>,
  ) {}

  /** Spans were lost. */
  lost(spans: number, message: string): void {
    this.#lost += spans;
    if (this.#isAway) return;
    this.#isAway = true;
    this.conditions?.degrade('traces', message);
    this.logger.log('warn', 'traces cannot be sent; flows go on without them', { part: 'traces', error: message });
  }

  /** Spans were sent. */
  sent(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.conditions?.recover('traces');
    this.logger.log('info', 'traces are sent again', { part: 'traces', lost_spans: this.#lost });
    this.#lost = 0;
  }
}
