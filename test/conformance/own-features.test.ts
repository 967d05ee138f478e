import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { parse } from 'yaml';
import { type FeatureScenario, parseFeature, readFeatures } from '../../conformance/features';
import { type ConformanceRunner, startConformanceRunner } from '../../conformance/flow-runner';
import { flowUntil } from '../../conformance/flow-until';
import { runScenario } from '../../conformance/run-scenario';
import { isJsonObject, type JsonObject } from '../../src/dsl/json';
import { testTemporal } from '../helpers/temporal';
import { progressWhen } from '../helpers/test-worker';

const FEATURES = join(__dirname, 'features');
const passing = readFeatures(join(FEATURES, 'passing')).map((scenario) => [scenario.name, scenario] as const);

/** What each scenario of features/failing must be reported with. */
const REASONS: Readonly<Record<string, RegExp>> = {
  cancels: /^how the flow ended\ngot: {6}completed with the output {.*}\nexpected: cancelled$/,
  completes: /^how the flow ended\ngot: {6}faulted with the error {.*"status":409.*\nexpected: completed$/,
  'completes with another output':
    /^the flow's output\ngot: {6}{"a":2,"list":\[1,2\]}\nexpected: {"a":2,"list":\[2,1\]}$/,
  faults: /^how the flow ended\ngot: {6}completed .*\nexpected: faulted$/,
  'faults with another error': /^the flow's error: status\ngot: {6}{.*409.*}\nexpected: {.*410}$/,
  'a flow that is refused': /^the engine refused to run the flow: (.|\n)*do: the list is empty/,
  'has properties': /^the output lacks list\.2, b\.c\n/,
  'has properties of a flow that faulted': /^the flow's output\ngot: {6}faulted .*\nexpected: completed$/,
  'has a property with another value': /^the output's a\ngot: {6}2\nexpected: "2"$/,
  'has another number of items': /^the output's list\ngot: {6}\[1,2\]\nexpected: an array of 3 items$/,
  'has items that are none': /^the output's a\ngot: {6}2\nexpected: an array of 2 items$/,
  'runs first': /^the order of the tasks\ngot: {6}first, second\nexpected: second first$/,
  'runs last': /^the order of the tasks\ngot: {6}first, second\nexpected: first last$/,
  'runs before': /^the order of the tasks\ngot: {6}first, second\nexpected: second before first$/,
  'runs after': /^the order of the tasks\ngot: {6}first, second\nexpected: second before first$/,
  'runs before itself': /^the order of the tasks\n(.|\n)*first before first$/,
  'runs although it does not': /^the task third\ngot: {6}not run; there ran first, second\nexpected: run$/,
  'a task cancels': /^how the task first ended\ngot: {6}completed\nexpected: cancelled$/,
  'a task completes': /^how the task refuse ended\ngot: {6}failed with the error {.*409.*\nexpected: completed$/,
  'a task completes with another output': /^the output of the task first\ngot: {6}{"a":1,.*\nexpected: {"a":2,/,
  'a task faults': /^how the task first ended\ngot: {6}completed\nexpected: faulted$/,
  'a task faults with another error': /^the error of the task refuse: detail\n/,
  'an unknown step': /^this step is not known/,
  'an output that is missing': /^got no text below the step/,
  'an output that does not parse': /BLW_DOC_SYNTAX/,
  'nothing asserted': /^the scenario asserts nothing/,
  'nothing executed': /^no workflow was executed/,
  'nothing defined': /^no workflow was defined/,
};

describe('the runner of features, on a real server', () => {
  let runner: ConformanceRunner;

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
    runner = await startConformanceRunner({
      target: testTemporal(),
      // The kit has no step that cancels a flow: somebody does, once it waits.
      onStarted: async (handle, { document }) => {
        if (!isJsonObject(document) || document.name !== 'cancelled') return;
        await progressWhen(handle, ({ steps }) =>
          steps.some(({ name, status }) => name === 'rest' && status === 'running'),
        );
        await handle.cancel();
      },
    });
  });
  afterAll(() => runner.stop());

  it.each(passing)('passes "%s"', async (_name, scenario) => {
    expect((await runScenario(scenario, runner)).failure).toBeUndefined();
  });

  it.each(Object.entries(REASONS))('reports that "%s" does not hold', async (name, reason) => {
    const scenario = scenarioOf('failing', name);
    const { failure } = await runScenario(scenario, runner);
    expect(failure?.reason).toMatch(reason);
    expect(failure?.step).toBe(name === 'nothing asserted' ? undefined : scenario.steps.at(-1));
  });

  it('has a reason for every scenario that must fail', () => {
    expect(readFeatures(join(FEATURES, 'failing')).map(({ name }) => name)).toEqual(Object.keys(REASONS));
  });
});

describe('a flow that ends after a task', () => {
  it.each([
    ['a task of the flow', '{ do: [{ a: { set: {} } }], output: {} }', '{ do: [{ a: { set: {}, then: end } }] }'],
    [
      'a task in groups that change what they put out',
      '{ do: [{ g: { try: [{ h: { do: [{ a: {} }], output: {} } }], output: {} } }, { b: { output: {} } }] }',
      '{ do: [{ g: { try: [{ h: { do: [{ a: { then: end } }] } }] } }, { b: { output: {} } }] }',
    ],
    [
      'a task in a catch and in a branch',
      '{ do: [{ g: { try: [], catch: { do: [{ f: { fork: { branches: [{ a: { then: b } }] } } }] } } }] }',
      '{ do: [{ g: { try: [], catch: { do: [{ f: { fork: { branches: [{ a: { then: end } }] } } }] } } }] }',
    ],
    [
      'a switch, whatever case it takes',
      '{ do: [{ a: { switch: [{ x: { when: y, then: b } }], then: c } }] }',
      '{ do: [{ a: { switch: [{ x: { when: y, then: end } }], then: end } }] }',
    ],
    [
      'a try, also once it has caught',
      '{ do: [{ a: { try: [{ b: {} }], catch: { then: c } } }] }',
      '{ do: [{ a: { try: [{ b: {} }], catch: {}, then: end } }] }',
    ],
    [
      'a task, not for data that looks like one',
      '{ do: [{ b: { set: { do: [{ a: {} }] } } }, { a: {} }] }',
      '{ do: [{ b: { set: { do: [{ a: {} }] } } }, { a: { then: end } }] }',
    ],
  ])('is made for %s', (_what, text, expected) => {
    const flow = parse(text) as JsonObject;
    expect(flowUntil('a', flow)).toEqual(parse(expected));
    expect(flow).toEqual(parse(text));
  });

  it('is not made for a task that the flow does not have', () => {
    expect(flowUntil('a', { do: [{ b: { set: { a: {} } } }] })).toBeUndefined();
  });
});

describe('reading features', () => {
  it('names file, line and column of what is not Gherkin', () => {
    expect(() => parseFeature('Feature: x\n  Scenario: y\n    Given z\n    Perhaps not', 'x.feature')).toThrow(
      /^x\.feature: \(4:5\)/,
    );
  });

  it('refuses a folder without scenarios', () => {
    expect(() => readFeatures(__dirname)).toThrow('got no scenario');
    expect(() => readFeatures(join(__dirname, 'nowhere'))).toThrow('got no scenario');
  });
});

function scenarioOf(folder: string, name: string): FeatureScenario {
  const found = readFeatures(join(FEATURES, folder)).find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return found;
}
