import type { StepMock } from './mock';

/** What a step is answered where it runs now: of a mock with rounds, that of the round. `iteration` as in progress, e.g. `0.4` or `2.1~1`. */
export function mockIn(mock: StepMock, iteration: string): StepMock {
  const { index, visit } = roundIn(iteration);
  const round = roundOf(mock, index ?? visit);
  return roundOf(round, visit);
}

function roundOf(mock: StepMock, round: number): StepMock {
  const { rounds = [] } = mock;
  return rounds[Math.min(round, rounds.length - 1)] ?? mock;
}

/**
 * `index`: of the innermost `for` or `listen` around; undefined where there is none. `visit`: how often `then` has led back since that
 * began.
 */
function roundIn(iteration: string): { index: number | undefined; visit: number } {
  const parts = iteration.split('.');
  const at = parts.findLastIndex((part) => /^\d+$/.test(part));
  const visits = parts.slice(at + 1).map((part) => Number(part.split('~')[1] ?? 0));
  return { index: at === -1 ? undefined : Number(parts[at]), visit: visits.reduce((sum, visit) => sum + visit, 0) };
}
