import type { DryRunReport, ReportedStep } from '../dry-run/report';
import { errorText } from '../errors';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortJson } from '../problems';
import { type Difference, findDifferences, findNamedDifferences } from './expected-value';
import type { Expectation, ExpectedRun, ExpectedStep } from './flow-test';

/** What a flow came to: the report of its dry run, or where it could not be started, the error alone. */
export type TestOutcome = Pick<DryRunReport, 'status' | 'output' | 'error' | 'steps' | 'omittedSteps' | 'skippedMs'>;

const APPROVAL_BLOCK = 'human.approval';

/** What differs from what is expected; an empty list: nothing. */
export function checkOutcome(expect: Expectation, outcome: TestOutcome): readonly Difference[] {
  return [
    ...checkEnd(expect, outcome),
    ...(expect.path === undefined ? [] : checkPath(expect.path, outcome)),
    ...(expect.steps ?? []).flatMap((step) => checkStep(step, outcome)),
    ...(expect.approvals === undefined ? [] : checkApprovals(expect.approvals, outcome)),
    ...(expect.waited === undefined ? [] : checkWaited(expect.waited, outcome)),
  ];
}

function checkEnd({ output, error: expected }: Expectation, outcome: TestOutcome): readonly Difference[] {
  const { error } = outcome;
  if (expected === undefined) {
    if (error !== undefined) return [{ at: 'the flow', expected: 'to complete', got: `a failure: ${reasonOf(error)}` }];
    return output === undefined ? [] : findDifferences(output, outcome.output ?? null, 'output');
  }
  if (error !== undefined) return findNamedDifferences(expected, error, 'error');
  const wanted = isJsonObject(expected) && expected.code !== undefined ? ` with ${shortJson(expected.code)}` : '';
  return [
    { at: 'the flow', expected: `to fail${wanted}`, got: `completion with ${shortJson(outcome.output ?? null)}` },
  ];
}

function reasonOf(error: JsonObject): string {
  const { instance } = error;
  return `${errorText(error)}${instance === undefined ? '' : ` at ${String(instance)}`}`;
}

/** Steps are called what the test calls them: by their paths where it writes paths. */
function checkPath(expected: Json, outcome: TestOutcome): readonly Difference[] {
  const text = JSON.stringify(expected);
  const ran = outcome.steps.filter(isRun).map(({ path, name }) => (text.includes(JSON.stringify(path)) ? path : name));
  if (outcome.omittedSteps !== undefined) return [noRoom('path')];
  if (!Array.isArray(expected)) return findDifferences(expected, ran, 'path');
  return findDifferences(expected, ran, 'path').length === 0
    ? []
    : [{ at: 'path', expected: expected.map(stepName).join(', ') || 'no steps', got: ran.join(', ') || 'no steps' }];
}

function stepName(step: Json): string {
  return typeof step === 'string' ? step : JSON.stringify(step);
}

function checkStep({ step, runs }: ExpectedStep, outcome: TestOutcome): readonly Difference[] {
  const found = inTurn(outcome.steps.filter(({ path, name }) => (step.startsWith('/') ? path : name) === step));
  const at = `step ${step}`;
  // What is not in the list may be what the test asks for.
  if (outcome.omittedSteps !== undefined) return [noRoom(at)];
  const ran = found.filter(isRun);
  return 'inTurn' in runs ? checkInTurn(runs.inTurn, ran, at) : checkEach(runs.each, { found, ran, at });
}

function checkEach(
  run: ExpectedRun,
  { found, ran, at }: { found: readonly ReportedStep[]; ran: readonly ReportedStep[]; at: string },
): readonly Difference[] {
  if (run.ran === false) return ran.length === 0 ? [] : [{ at, expected: 'to run never', got: timesOf(ran.length) }];
  const differences = run.times === undefined ? [] : findDifferences(run.times, ran.length, `${at}: times`);
  if (differences.length > 0) return differences;
  // Whoever expects a status may expect that it was skipped.
  const mayBeSkipped = run.values.status === 'skipped' || isJsonObject(run.values.status);
  const considered = mayBeSkipped ? found : ran;
  const hasMore = Object.keys(run.values).length > 0 || run.flow !== undefined;
  if (considered.length === 0 && (run.times === undefined || hasMore))
    return [{ at, expected: 'to run', got: found.length === 0 ? 'never' : 'that its if said no' }];
  return considered.flatMap((one, index) => checkRun(run, one, considered.length > 1 ? `${at} (${index + 1})` : at));
}

/** Rounds of a loop in the order of its items: side by side they begin in any order. */
function inTurn(steps: readonly ReportedStep[]): readonly ReportedStep[] {
  const roundsOf = ({ iteration = '' }: ReportedStep) => iteration.split(/[.~]/).map(Number);
  return [...steps].sort((left, right) => {
    const others = roundsOf(right);
    return roundsOf(left).reduce((order, round, index) => order || round - (others[index] ?? 0), 0);
  });
}

function checkInTurn(runs: readonly ExpectedRun[], found: readonly ReportedStep[], at: string): readonly Difference[] {
  if (runs.length !== found.length)
    return [{ at, expected: `to run ${timesOf(runs.length)}`, got: timesOf(found.length) }];
  return runs.flatMap((run, index) => checkRun(run, found[index] as ReportedStep, `${at} (${index + 1})`));
}

function checkRun({ values, flow }: ExpectedRun, step: ReportedStep, at: string): readonly Difference[] {
  const differences = Object.entries(values).flatMap(([key, expected]) => {
    const actual = (step as unknown as JsonObject)[key];
    if (step.cut?.some((name) => name === key)) return [noRoom(`${at}: ${key}`)];
    if (key === 'error') return findNamedDifferences(expected, actual, `${at}: error`);
    // A step that is tried once says nothing of it.
    return findDifferences(expected, key === 'attempts' ? (actual ?? 1) : actual, `${at}: ${key}`);
  });
  if (flow === undefined) return differences;
  if (step.flow === undefined) {
    const got = step.cut?.includes('flow') ? 'a report that was too large' : 'none';
    return [...differences, { at, expected: 'the report of a flow', got }];
  }
  return [...differences, ...checkOutcome(flow, step.flow).map((found) => ({ ...found, at: `${at}: ${found.at}` }))];
}

function checkApprovals(expected: readonly JsonObject[], { steps, omittedSteps }: TestOutcome): readonly Difference[] {
  if (omittedSteps !== undefined) return [noRoom('approvals')];
  const asked = steps.filter((step) => step.block === APPROVAL_BLOCK && isRun(step));
  const names = expected.map(({ step }) => String(step));
  const got = asked.map(({ path, name }, index) => (names[index]?.startsWith('/') ? path : name));
  if (names.join('\n') !== got.join('\n'))
    return [{ at: 'approvals', expected: names.join(', ') || 'none', got: got.join(', ') || 'none' }];
  return expected.flatMap(({ step: _, ...values }, index) =>
    checkRun({ values }, asked[index] as ReportedStep, `approval ${names[index]}`),
  );
}

function checkWaited(expected: Json, { skippedMs = 0 }: TestOutcome): readonly Difference[] {
  return findDifferences(expected, skippedMs, 'waited').map(() => ({
    at: 'waited',
    expected: waitedText(expected),
    got: durationText(skippedMs),
  }));
}

function waitedText(expected: Json): string {
  if (!isJsonObject(expected)) return durationText(Number(expected));
  return Object.entries(expected)
    .map(([key, ms]) => `${key === '$atLeast' ? 'at least' : 'at most'} ${durationText(Number(ms))}`)
    .join(' and ');
}

/** As a test writes it, to the millisecond: ISO 8601. */
function durationText(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1_000;
  const text = `${hours > 0 ? `${hours}H` : ''}${minutes > 0 ? `${minutes}M` : ''}${seconds > 0 ? `${seconds}S` : ''}`;
  return `PT${text || '0S'}`;
}

function isRun({ status }: ReportedStep): boolean {
  return status !== 'skipped';
}

function timesOf(count: number): string {
  if (count === 0) return 'never';
  return count === 1 ? 'once' : `${count} times`;
}

function noRoom(at: string): Difference {
  return {
    at,
    expected: 'to be in the report',
    got: 'no room for it: the report has at most 200 kB, and 16 KiB a value',
  };
}
