import type { JsonObject } from '../../dsl/json';
import { countCases } from './print-results';
import type { FlowCoverage, SuiteResult } from './run-suites';

/** The results as `--json` prints them. Scripts read it: add keys, never change one. */
export function resultsToJson(
  results: readonly SuiteResult[],
  coverage: readonly FlowCoverage[],
  durationMs: number,
): JsonObject {
  const files = results.map(({ suite, cases }) => ({
    file: suite.file,
    flow: suite.flow.plan.flow,
    cases: cases.map(({ case: { name, line, skip }, status, differences, durationMs: took, report }) => ({
      name,
      line,
      status,
      durationMs: Math.round(took),
      ...(skip === undefined ? {} : { skip }),
      ...(status === 'failed' ? { differences, ...(report === undefined ? {} : { report }) } : {}),
    })),
  }));
  const flows = coverage.map(({ flow, steps, branches, missing, uncounted }) => ({
    file: flow.name,
    flow: flow.plan.flow,
    steps,
    branches,
    ...(uncounted === 0 ? {} : { uncounted }),
    missing: missing.map(({ path, what }) => ({ path, ...flow.locateStep(path), what })),
  }));
  return {
    ...countCases(results),
    durationMs: Math.round(durationMs),
    files,
    coverage: flows,
  } as unknown as JsonObject;
}
