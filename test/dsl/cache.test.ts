import { definitionItems } from '../../src/dsl/planning/definition-items';
import type { CallPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, HEADER, validFlow } from './marked-flow';

const READ = 'call: fs.get, with: { path: a }';
const GET = 'call: http, with: { method: get, endpoint: http://x.test }';
const POST = 'call: http, with: { method: post, endpoint: http://x.test }';
const OPENAPI = 'call: openapi, with: { document: { endpoint: http://x.test }, operationId: a }';

describe('metadata.cache', () => {
  it.each(
    badRows([
      `BLW_VALUE_INVALID | metadata: cache: got a boolean, expected an object | ${READ}, metadata: { cache: «true }`,
      `BLW_VALUE_INVALID | metadata: cache: got null | ${READ}, metadata: { cache: «null }`,
      `BLW_KEY_UNKNOWN | "maxage" is not known in metadata: cache; did you mean "maxAge"? | ${READ}, metadata: { cache: { «maxage: PT1H } }`,
      `BLW_KEY_UNKNOWN | "ttl" is not known in metadata: cache; it has: key, maxAge | ${READ}, metadata: { cache: { «ttl: PT1H } }`,
      `BLW_DURATION_INVALID | cache: maxAge: got "1 hour", expected ISO 8601 | ${READ}, metadata: { cache: { maxAge: «1 hour } }`,
      `BLW_DURATION_INVALID | cache: maxAge: got "\${ data.t }" | ${READ}, metadata: { cache: { maxAge: «"\${ data.t }" } }`,
      `BLW_DURATION_INVALID | cache: maxAge: expected at least 1 ms | ${READ}, metadata: { cache: { maxAge: «PT0S } }`,
      `BLW_DURATION_INVALID | cache: maxAge: expected at most P30D | ${READ}, metadata: { cache: { maxAge: «P30DT1S } }`,
      `BLW_DURATION_INVALID | cache: maxAge: longer than 10 years | ${READ}, metadata: { cache: { maxAge: «P9999D } }`,
      `BLW_VALUE_INVALID | cache: key: got a number, expected text; put it in quotes | ${READ}, metadata: { cache: { key: «5 } }`,
      `BLW_VALUE_INVALID | cache: key: got empty text | ${READ}, metadata: { cache: { key: «"" } }`,
      `BLW_VALUE_INVALID | cache: key: got an array | ${READ}, metadata: { cache: { key: «["\${ data }"] } }`,
      `BLW_EXPR_SYNTAX | "dta" is not known here; did you mean "data"? | ${READ}, metadata: { cache: { key: «"\${ dta.id }" } }`,
      `BLW_STEP_UNKNOWN | steps.b: there is no such step in scope | ${READ}, metadata: { cache: { key: «"\${ steps.b.output }" } }`,
      `BLW_SECRET_PLACE | secrets.token: a secret cannot stand here | ${READ}, metadata: { cache: { key: «"\${ secrets.token }" } }`,
      `BLW_VALUE_INVALID | cache: a result that is reused is the doing of another flow | ${READ}, metadata: { «cache: {}, compensate: [{ u: { ${READ} } }] }`,
      'BLW_UNSUPPORTED | no effect on human.approval: people decide each time | call: human.approval, with: { title: a }, metadata: { «cache: { key: a } }',
      'BLW_UNSUPPORTED | metadata.cache has no effect on a wait task; write it on its calls | wait: PT1S, metadata: { «cache: {} }',
    ]),
  )('rejects %s with %s', (task, code, message) => {
    const use = code === 'BLW_SECRET_PLACE' ? 'use: { secrets: [token] }\n' : '';
    expectProblems(flowText(`- a: { ${task} }`, use), [`${code} ${message}`]);
  });

  it.each(
    badRows([
      `BLW_VALUE_INVALID | cache: http with post changes something, and with equal arguments it may be meant to happen again; give the cache a key | ${POST}, metadata: { «cache: {} }`,
      `BLW_VALUE_INVALID | http with delete changes something | ${POST.replace('post', 'delete')}, metadata: { «cache: {} }`,
      `BLW_VALUE_INVALID | the method is known only when it runs | ${POST.replace('post', '"${ data.m }"')}, metadata: { «cache: {} }`,
      `BLW_VALUE_INVALID | what openapi changes is known only when it runs | ${OPENAPI}, metadata: { «cache: {} }`,
      `BLW_VALUE_INVALID | http.stream changes something | call: http.stream, with: { endpoint: http://x.test, to: a }, metadata: { «cache: {} }`,
      'BLW_VALUE_INVALID | fs.put changes something | call: fs.put, with: { path: a, content: b }, metadata: { «cache: { maxAge: PT1S } }',
      'BLW_VALUE_INVALID | fs.delete changes something | call: fs.delete, with: { path: a }, metadata: { «cache: {} }',
      'BLW_VALUE_INVALID | sql.execute changes something | call: sql.execute, with: { database: a, statement: b }, metadata: { «cache: {} }',
      `BLW_VALUE_INVALID | http with post changes something | ${POST}, metadata: { idempotent: false, «cache: {} }`,
    ]),
  )('rejects %s with %s, since there is no key', (task, code, message) => {
    expectProblem(flowText(`- a: { ${task} }`), code, message);
    const withKey = task.replace('«cache: {', 'cache: { key: "${ data.id }",').replace(',}', '}').replace(', }', ' }');
    expect(validateFlowText(flowText(`- a: { ${withKey} }`)).problems).toEqual([]);
    const withWord = task.replace('idempotent: false, ', '').replace('«cache', 'idempotent: true, cache');
    expect(validateFlowText(flowText(`- a: { ${withWord} }`)).problems).toEqual([]);
  });

  it.each([
    READ,
    GET,
    GET.replace('get', 'head'),
    'call: fs.list',
    'call: fs.stat, with: { path: a }',
    'call: sql.query, with: { database: a, statement: b }',
  ])('takes %s without a key', (task) => {
    expect(validateFlowText(flowText(`- a: { ${task}, metadata: { cache: {} } }`)).problems).toEqual([]);
  });

  it('says nothing of the cache where the call itself is wrong', () => {
    expectProblem(flowText('- a: { call: «fs.gett, metadata: { cache: {} } }'), 'BLW_BLOCK_UNKNOWN', 'did you mean');
    expectProblem(
      flowText('- a: { call: http, with: «{ endpoint: http://x.test }, metadata: { cache: {} } }'),
      'BLW_ARG_INVALID',
      '"method" is missing',
    );
  });

  it("is a step's own, not a default of the document", () => {
    const header = HEADER.replace(' }\n', ', metadata: { «cache: {} } }\n');
    expectProblem(`${header}do: [{ a: { wait: PT1S } }]\n`, 'BLW_UNSUPPORTED', "metadata.cache is a step's own");
  });
});

describe('the plan of a cached call', () => {
  const planCall = (cache: string) => {
    const [task] = planFlow(
      validFlow(flowText(`- z: { wait: PT1S }\n- a: { ${READ}, metadata: { cache: ${cache} } }`)),
    ).tasks.slice(1);
    return task as CallPlan;
  };

  it('reuses results for an hour, by arguments, unless it says otherwise', () => {
    expect(planCall('{}').cache).toEqual({ maxAgeMs: 3_600_000 });
    expect(planCall('{ maxAge: P30D }').cache).toEqual({ maxAgeMs: 30 * 86_400_000 });
    expect(planCall('{ maxAge: { minutes: 1 }, key: a }').cache).toEqual({ maxAgeMs: 60_000, key: { value: 'a' } });
  });

  it('has the key evaluated with the arguments', () => {
    const plan = planCall("{ key: 'order ${ data.id } ${ steps.z.output }' }");
    expect(definitionItems(plan).map(({ name }) => name)).toEqual(['with', 'cacheKey']);
    expect(definitionItems(planCall('{}')).map(({ name }) => name)).toEqual(['with']);
  });

  it('keeps the outputs that the key reads', () => {
    const flow = flowText(
      `- z: { wait: PT1S }\n- a: { ${READ}, metadata: { cache: { key: '\${ steps.z.output }' } } }`,
    );
    expect(planFlow(validFlow(flow)).stepOutputs).toEqual(['z']);
  });
});
