import type { Logger } from '../logger';
import type { Conditions } from '../telemetry/conditions';

/** Pause between two questions whether a collector that was away is back; for a worker that has no spans to send. */
const PROBE_EVERY_MS = 30_000;

/** Knows whether the collector takes the spans, and says so once when that changes: to the log, and to whoever answers about health. */
export class TraceHealth {
  #isAway = false;
  #lost = 0;
  #probing: NodeJS.Timeout | undefined;

  constructor(
    private readonly logger: Logger,
    private readonly conditions?: Pick<Conditions, 'degrade' | 'recover'>,
  ) {}

  /** Spans were lost. `probe` is called every half minute then, until some are sent. */
  lost(spans: number, message: string, probe?: () => void): void {
    this.#lost += spans;
    if (probe !== undefined && this.#probing === undefined) this.#probing = setInterval(probe, PROBE_EVERY_MS).unref();
    if (this.#isAway) return;
    this.#isAway = true;
    this.conditions?.degrade('traces', message);
    this.logger.log('warn', 'traces cannot be sent; flows go on without them', { part: 'traces', error: message });
  }

  /** Nothing is asked any more. */
  close(): void {
    clearInterval(this.#probing);
    this.#probing = undefined;
  }

  /** Spans were sent, or would have been. */
  sent(): void {
    this.close();
    if (!this.#isAway) return;
    this.#isAway = false;
    this.conditions?.recover('traces');
    this.logger.log('info', 'traces are sent again', { part: 'traces', lost_spans: this.#lost });
    this.#lost = 0;
  }
}
