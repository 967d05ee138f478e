import type { Json, JsonObject } from '../json';

/** A file of tests of one flow (`*.flow-test.yaml`), as it was read. */
export interface FlowTest {
  readonly cases: readonly FlowTestCase[];
}

/** One run of the flow, and what is expected of it. What the file says for all cases is in here. */
export interface FlowTestCase {
  readonly name: string;
  /** Where it stands in the file. */
  readonly path: readonly (string | number)[];
  /** Why it is not run. */
  readonly skip?: string;
  readonly input: Json;
  readonly tenant: string;
  readonly requestedBy?: string;
  readonly mocks: JsonObject;
  readonly expect: Expectation;
}

/** What a dry run should come to. What is absent is not looked at; without `error` the flow has to complete. */
export interface Expectation {
  readonly output?: Json;
  readonly error?: Json;
  /** Names or paths of the steps that ran, in the order in which they began. */
  readonly path?: Json;
  readonly steps?: readonly ExpectedStep[];
  /** What people were asked, in order. */
  readonly approvals?: readonly JsonObject[];
  /** In ms. */
  readonly waited?: Json;
}

/** What is expected of one step. */
export interface ExpectedStep {
  /** Its name, or its path as a JSON Pointer. */
  readonly step: string;
  /** `each`: of every run; `inTurn`: of one after the other. */
  readonly runs: { readonly each: ExpectedRun } | { readonly inTurn: readonly ExpectedRun[] };
}

/** What is expected of a step each time that it runs. */
export interface ExpectedRun {
  /** False: it never does. */
  readonly ran?: boolean;
  readonly times?: Json;
  /** Of the values that a report has of a step, by their keys. */
  readonly values: Readonly<Record<string, Json>>;
  /** Of the flow that the step runs. */
  readonly flow?: Expectation;
}

/** How files of tests are called: `order.flow-test.yaml` is of the flow in `order.yaml`. */
export const FLOW_TEST_FILE = /\.flow-test\.(?:yaml|yml|json)$/;
