import type { DryRunReport } from '../../dsl/dry-run/report';
import type { Visits } from '../../dsl/dry-run/visits';
import { formatDuration } from '../../dsl/durations';
import { FlowError, flowErrorToJson } from '../../dsl/errors';
import { checkOutcome, type TestOutcome } from '../../dsl/flow-test/check-report';
import { type Coverage, measureCoverage } from '../../dsl/flow-test/coverage';
import type { Difference } from '../../dsl/flow-test/expected-value';
import { CommandError } from '../command-error';
import { NotEnded, type Sandbox } from '../sandbox-engine';
import type { LocatedCase, ReadFlow, TestSuite } from './read-suite';

/** A suite that can be run. */
export type RunnableSuite = Extract<TestSuite, { flow: object }>;

/** What became of a case. */
export interface CaseResult {
  readonly case: LocatedCase;
  readonly status: 'passed' | 'failed' | 'skipped';
  readonly differences: readonly Difference[];
  readonly durationMs: number;
  /** Absent where the flow was not run. */
  readonly report?: DryRunReport;
}

export interface SuiteResult {
  readonly suite: RunnableSuite;
  readonly cases: readonly CaseResult[];
}

/** What the cases of all files came to in one flow. */
export interface FlowCoverage extends Coverage {
  readonly flow: ReadFlow;
  /** Visits of steps that reports had no room for: what is covered may be more. */
  readonly uncounted: number;
}

/** Cases that run at once: more are no faster on a small machine. */
const CONCURRENCY = 4;

/** Runs all cases, several at once, and calls `onSuite` with each file's results, in the order of the files. */
export async function runSuites(
  suites: readonly RunnableSuite[],
  {
    sandbox,
    timeoutMs,
    isWanted,
    onSuite,
  }: {
    sandbox: Sandbox;
    timeoutMs: number;
    isWanted: (one: LocatedCase) => boolean;
    onSuite: (result: SuiteResult) => void;
  },
): Promise<readonly SuiteResult[]> {
  const limit = new Limit(CONCURRENCY);
  const running = suites.map(async (suite) => {
    const cases = suite.cases
      .filter(isWanted)
      .map((one) => limit.run(() => runCase(one, suite.flow, { sandbox, timeoutMs })));
    return { suite, cases: await Promise.all(cases) };
  });
  // One that fails must not leave the others' rejections to nobody.
  for (const promise of running) promise.catch(() => undefined);
  const results: SuiteResult[] = [];
  for (const promise of running) {
    const result = await promise;
    onSuite(result);
    results.push(result);
  }
  return results;
}

/** What was come to of each flow, over all files that test it. */
export function coverageOf(results: readonly SuiteResult[]): readonly FlowCoverage[] {
  const flows = new Map<string, { flow: ReadFlow; visits: Visits[]; uncounted: number }>();
  for (const { suite, cases } of results) {
    const entry = flows.get(suite.flow.name) ?? { flow: suite.flow, visits: [], uncounted: 0 };
    for (const { report } of cases) {
      if (report?.visits !== undefined) entry.visits.push(report.visits);
      entry.uncounted += report?.omittedVisits ?? 0;
    }
    flows.set(suite.flow.name, entry);
  }
  return [...flows.values()].map(({ flow, visits, uncounted }) => ({
    flow,
    uncounted,
    ...measureCoverage(flow.plan, visits),
  }));
}

async function runCase(
  one: LocatedCase,
  { flow, plan }: ReadFlow,
  { sandbox, timeoutMs }: { sandbox: Sandbox; timeoutMs: number },
): Promise<CaseResult> {
  if (one.skip !== undefined) return { case: one, status: 'skipped', differences: [], durationMs: 0 };
  const startedAt = performance.now();
  const { input, tenant, requestedBy, mocks } = one;
  const start = {
    flow,
    input,
    tenant,
    ...(requestedBy === undefined ? {} : { requestedBy }),
    mode: 'dry-run' as const,
    mocks,
    coverage: true as const,
  };
  const outcome = await tryCase(() => sandbox.run(start, plan.flow, { timeoutMs }));
  const differences = outcome instanceof NotEnded ? [timedOut(outcome)] : checkOutcome(one.expect, outcome);
  return {
    case: one,
    status: differences.length === 0 ? 'passed' : 'failed',
    differences,
    durationMs: performance.now() - startedAt,
    ...('dryRun' in outcome ? { report: outcome as DryRunReport } : {}),
  };
}

/** Whatever was expected: what the flow would have come to is not known. */
function timedOut({ timeoutMs }: NotEnded): Difference {
  return {
    at: 'the case',
    expected: `to end within ${formatDuration(timeoutMs)}`,
    got: 'a flow that goes on; mock what its loop waits for, see that its tenant has the quota for all cases at once, or take a longer --timeout',
  };
}

/** A start that is refused is an end of the flow like another: a test may expect it. */
async function tryCase(run: () => Promise<DryRunReport>): Promise<TestOutcome | NotEnded> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof NotEnded) return error;
    const known = error instanceof CommandError ? error.error : error;
    // Of the machine, not of the flow.
    if (!(known instanceof FlowError) || known.data.code === 'BLW_TEMPORAL_UNREACHABLE') throw error;
    return { status: 'failed', error: flowErrorToJson(known.data), steps: [] };
  }
}

/** So many at once, the first first. */
class Limit {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
