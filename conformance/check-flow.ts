import { isDeepStrictEqual } from 'node:util';
import type { FlowOutcome } from '../src/cli/flow-outcome';
import { getOwn, type Json, type JsonObject } from '../src/dsl/json';
import { valueAt } from './json-path';
import type { Check, Ending } from './steps';
import { AssertionFailure, asJson } from './verdict';

type FlowCheck = Extract<Check, { kind: 'flowEnds' | 'hasProperties' | 'propertyIs' | 'itemCount' }>;

/** The kit's word for how a flow ended. A flow that ran out of time, or was ended by force, has none. */
const STATUS: Readonly<Record<FlowOutcome['status'], Ending['status'] | undefined>> = {
  Completed: 'completed',
  Failed: 'faulted',
  Cancelled: 'cancelled',
  Terminated: undefined,
  TimedOut: undefined,
};

/** Checks how the flow ended and what it put out. Throws AssertionFailure. */
export function checkFlow(check: FlowCheck, outcome: FlowOutcome): void {
  switch (check.kind) {
    case 'flowEnds':
      checkEnding(check.ending, outcome);
      break;
    case 'hasProperties':
      expectProperties(outputOf(outcome), check.paths);
      break;
    case 'propertyIs':
      expectEqual(`the output's ${check.path}`, valueAt(outputOf(outcome), check.path), check.value);
      break;
    case 'itemCount':
      expectItems(`the output's ${check.path}`, valueAt(outputOf(outcome), check.path), check.count);
  }
}

function expectProperties(output: Json, expected: readonly string[]): void {
  const missing = expected.filter((path) => valueAt(output, path) === undefined);
  if (missing.length === 0) return;
  throw new AssertionFailure({
    what: `the output lacks ${missing.join(', ')}`,
    got: asJson(output),
    expected: expected.join(', '),
  });
}

function expectItems(what: string, got: Json | undefined, count: number): void {
  if (Array.isArray(got) && got.length === count) return;
  throw new AssertionFailure({ what, got: asJson(got), expected: `an array of ${count} items` });
}

/** Throws AssertionFailure unless two values are the same JSON; the order of keys does not matter. */
export function expectEqual(what: string, got: Json | undefined, expected: Json): void {
  if (!isDeepStrictEqual(got, expected))
    throw new AssertionFailure({ what, got: asJson(got), expected: asJson(expected) });
}

/** Throws AssertionFailure unless an error has the fields that are expected, with their values; it may have more. */
export function expectError(what: string, got: JsonObject, expected: JsonObject): void {
  const differs = Object.entries(expected).filter(([name, value]) => !isDeepStrictEqual(getOwn(got, name), value));
  if (differs.length === 0) return;
  throw new AssertionFailure({
    what: `${what}: ${differs.map(([name]) => name).join(', ')}`,
    got: asJson(got),
    expected: asJson(expected),
  });
}

function checkEnding(ending: Ending, outcome: FlowOutcome): void {
  if (STATUS[outcome.status] !== ending.status) {
    throw new AssertionFailure({ what: 'how the flow ended', got: describeOutcome(outcome), expected: ending.status });
  }
  if (ending.status === 'completed' && ending.output !== undefined) {
    expectEqual("the flow's output", outputOf(outcome), ending.output);
  }
  if (ending.status === 'faulted' && ending.error !== undefined && outcome.status !== 'Completed') {
    expectError("the flow's error", outcome.error, ending.error);
  }
}

function outputOf(outcome: FlowOutcome): Json {
  if (outcome.status === 'Completed') return outcome.output;
  throw new AssertionFailure({ what: "the flow's output", got: describeOutcome(outcome), expected: 'completed' });
}

function describeOutcome(outcome: FlowOutcome): string {
  if (outcome.status === 'Completed') return `completed with the output ${asJson(outcome.output)}`;
  return `${STATUS[outcome.status] ?? outcome.status} with the error ${asJson(outcome.error)}`;
}
