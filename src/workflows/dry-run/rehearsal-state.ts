import type { ReportState } from '../../dsl/dry-run/report';
import type { Visits } from '../../dsl/dry-run/visits';

/** What a dry run takes along to a new history. In histories: add optional fields, never change one. */
export interface RehearsalState {
  readonly report: ReportState;
  /** Attempts that steps have made, by path and iteration. */
  readonly attempts: Readonly<Record<string, number>>;
  readonly skippedMs: number;
  readonly steps: number;
  readonly visits?: Visits;
  /** Paths of the steps that asked for a mock of the start. */
  readonly usedMocks?: readonly string[];
}

/** Of a dry run that has begun elsewhere: attempts and steps that count here, too. */
export type BegunRehearsal = Pick<RehearsalState, 'attempts' | 'steps'>;

/** The state of a dry run that goes on with another's counts. */
export function rehearsalAfter({ attempts, steps }: BegunRehearsal): RehearsalState {
  return { report: { steps: [], omitted: 0, bytes: 0 }, attempts, skippedMs: 0, steps };
}
