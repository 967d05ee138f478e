import { resolveMocks } from '../dry-run/resolve-mocks';
import { isJsonObject, type Json, type JsonObject } from '../json';
import type { FlowPlan } from '../planning/plan';
import { shortJson } from '../problems';
import { DEFAULT_TENANT, TENANT } from '../start';
import type { Checker, Path, Shape } from '../validation/checker';
import type { FlowTest, FlowTestCase } from './flow-test';
import { type Place, readExpectation } from './read-expectation';

/** Most cases of one file. */
const MAX_CASES = 1_000;

const FILE_SHAPE: Shape = {
  required: ['cases'],
  optional: ['flow', 'tenant', 'requestedBy', 'mocks'],
  habits: { aliases: { tests: 'cases', specs: 'cases', file: 'flow', workflow: 'flow', mock: 'mocks' } },
};

const CASE_SHAPE: Shape = {
  required: ['name'],
  optional: ['input', 'tenant', 'requestedBy', 'mocks', 'expect', 'skip'],
  habits: {
    aliases: {
      title: 'name',
      mock: 'mocks',
      expected: 'expect',
      assert: 'expect',
      expectation: 'expect',
      with: 'input',
    },
    advice: {
      output: 'write it under expect',
      error: 'write it under expect',
      steps: 'write it under expect',
    },
  },
  example: '{ name: pays, input: {…}, expect: { output: {…} } }',
};

/** The flow that a file of tests names; undefined: none. */
export function flowOfTest(value: Json): string | undefined {
  return isJsonObject(value) && typeof value.flow === 'string' && value.flow !== '' ? value.flow : undefined;
}

/** Reads a file of tests of a flow. What is wrong is reported, and what is given back is then of no use. */
export function parseFlowTest(value: Json, { plan, planOf }: FlowPlans, checker: Checker): FlowTest {
  const file = checker.shaped(value, [], 'a flow test', FILE_SHAPE);
  if (file === undefined) return { cases: [] };
  checker.text(file.flow, ['flow'], 'flow');
  const common = { tenant: readTenant(file.tenant, ['tenant'], checker), ...readRequester(file, [], checker) };
  const mocks = readMocks(file.mocks, ['mocks'], checker);
  checkMocks(mocks, { path: ['mocks'], plan, checker });
  const cases = checker.list(file.cases, ['cases'], 'cases');
  if (Array.isArray(file.cases) && cases.length === 0)
    checker.report('BLW_VALUE_INVALID', ['cases'], 'cases: got an empty list, expected at least one case');
  if (cases.length > MAX_CASES)
    checker.report('BLW_VALUE_INVALID', ['cases'], `cases: got ${cases.length}, expected at most ${MAX_CASES}`);
  const read = cases.flatMap((item, index) =>
    readCase(item, { path: ['cases', index], plan, planOf, checker, common: { ...common, mocks } }),
  );
  checkNames(read, checker);
  return { cases: read };
}

/** The flow that is tested, and those that it runs. */
export type FlowPlans = { readonly plan: FlowPlan } & Pick<Place, 'planOf'>;

type Context = Pick<Place, 'path' | 'checker'> & { readonly plan: FlowPlan };

function readCase(
  value: Json,
  context: Context &
    Pick<Place, 'planOf'> & { common: { tenant?: string | undefined; requestedBy?: string; mocks: JsonObject } },
): FlowTestCase[] {
  const { path, plan, planOf, checker, common } = context;
  const object = checker.shaped(value, path, 'a case', CASE_SHAPE);
  if (object === undefined) return [];
  const name = checker.text(object.name, [...path, 'name'], 'name') ?? '';
  const skip = checker.text(object.skip, [...path, 'skip'], 'skip: why the case is not run');
  const own = readMocks(object.mocks, [...path, 'mocks'], checker);
  const mocks = { ...common.mocks, ...own };
  if (Object.keys(own).length > 0) checkMocks(mocks, { path: [...path, 'mocks'], plan, checker }, own);
  const tenant = readTenant(object.tenant, [...path, 'tenant'], checker) ?? common.tenant ?? DEFAULT_TENANT;
  const { requestedBy = common.requestedBy } = readRequester(object, path, checker);
  return [
    {
      name,
      path,
      ...(skip === undefined ? {} : { skip }),
      input: object.input ?? null,
      tenant,
      ...(requestedBy === undefined ? {} : { requestedBy }),
      mocks,
      expect: readExpectation(object.expect, { path: [...path, 'expect'], plan, planOf, checker }),
    },
  ];
}

function readTenant(value: Json | undefined, path: Path, checker: Checker): string | undefined {
  return checker.text(value, path, 'tenant', { regex: TENANT, expected: '1 to 63 letters, digits, ".", "_" or "-"' });
}

function readRequester({ requestedBy }: JsonObject, path: Path, checker: Checker): { requestedBy?: string } {
  const name = checker.text(requestedBy, [...path, 'requestedBy'], 'requestedBy');
  return name === undefined ? {} : { requestedBy: name };
}

function readMocks(value: Json | undefined, path: Path, checker: Checker): JsonObject {
  if (value === undefined) return {};
  return checker.object(value, path, 'mocks', '{ getOrder: { output: {…} } }') ?? {};
}

/** As the worker checks them; those that are not `own` were checked before. */
function checkMocks(mocks: JsonObject, { path, plan, checker }: Context, own = mocks): void {
  const resolved = resolveMocks(plan, mocks);
  for (const { path: at, message } of 'problems' in resolved ? resolved.problems : []) {
    const [key] = at;
    if (key === undefined || Object.hasOwn(own, key))
      checker.report('BLW_VALUE_INVALID', [...path, ...at], `mocks: ${message}`, 'key');
  }
}

/** Two cases of one name could not be told apart in what is printed. */
function checkNames(cases: readonly FlowTestCase[], checker: Checker): void {
  const seen = new Set<string>();
  for (const { name, path } of cases) {
    if (name !== '' && seen.has(name))
      checker.report('BLW_VALUE_INVALID', [...path, 'name'], `name: another case is called ${shortJson(name)} too`);
    seen.add(name);
  }
}
