import { findBlockByCall } from '../../src/dsl/block-registry';
import { DEFAULT_RETRY } from '../../src/dsl/block-spec';
import type { CallPlan, FlowPlan, ForPlan, TaskPlan, TryPlan } from '../../src/dsl/planning/plan';
import { flowInputSchema, planFlow } from '../../src/dsl/planning/plan-flow';
import { flowText, HEADER, validFlow } from './marked-flow';

function planOf(text: string): FlowPlan {
  return planFlow(validFlow(text));
}

/** The only task of a flow. */
function planTask(task: string, before = ''): TaskPlan {
  const [plan] = planOf(flowText(`- a: ${task}`, before)).tasks;
  if (plan === undefined) throw new Error('there is no task');
  return plan;
}

const planCall = (task: string, before = '') => planTask(`{ ${task} }`, before) as CallPlan;

function withDefaults(metadata: string, task: string): CallPlan {
  const header = HEADER.replace(' }\n', `, metadata: ${metadata} }\n`);
  const [plan] = planOf(`${header}evaluate: { language: cel }\ndo: [{ a: { ${task} } }]`).tasks;
  return plan as CallPlan;
}

describe('the flow', () => {
  it('has its names, and what stands around its tasks', () => {
    const text = flowText(
      '- a: { wait: PT1S }',
      `input: { from: data.order, schema: { document: { type: object } } }
timeout: long
use: { timeouts: { long: { after: PT1H } } }
output: { as: { id: '\${ workflow.id }' }, schema: { document: true } }
`,
    ).replace(' }\n', ', title: T, summary: S }\n');
    expect(planOf(text)).toEqual({
      planVersion: 1,
      flow: 'test/flow:1.0.0',
      title: 'T',
      summary: 'S',
      inputFrom: { expr: 'data.order' },
      output: { as: { map: [['id', { expr: 'workflow.id' }]] }, schema: true },
      timeout: { value: 'PT1H' },
      tasks: [{ kind: 'wait', name: 'a', path: '/do/0/a', duration: { value: 'PT1S' } }],
      stepOutputs: [],
    });
    expect(flowInputSchema(validFlow(text))).toEqual({ type: 'object' });
  });

  it('has nothing of what is absent', () => {
    expect(Object.keys(planOf(flowText('- a: { wait: PT1S }')))).toEqual([
      'planVersion',
      'flow',
      'tasks',
      'stepOutputs',
    ]);
    expect(flowInputSchema(validFlow(flowText('- a: { wait: PT1S }')))).toBeUndefined();
  });
});

describe('calls', () => {
  it("have the block's defaults", () => {
    expect(planCall('call: fs.put, with: { path: a, content: b }')).toEqual({
      kind: 'call',
      name: 'a',
      path: '/do/0/a',
      block: 'fs.put',
      with: { value: { path: 'a', content: 'b' } },
      resources: 'io',
      startToCloseMs: 30_000,
      heartbeatMs: findBlockByCall('fs.put')?.heartbeatMs,
      retry: DEFAULT_RETRY,
      idempotent: true,
      summaryArguments: ['path'],
    });
    expect(planCall('call: http.stream, with: { endpoint: http://x.test, to: b }')).toMatchObject({
      block: 'http.stream',
      heartbeatMs: 30_000,
      startToCloseMs: 3_600_000,
    });
    expect(planCall('call: human.approval, with: { title: T }')).toMatchObject({
      block: 'human.approval',
      human: true,
    });
    expect(planCall('call: fs.list')).toMatchObject({ with: { value: {} } });
  });

  const ALL = `resources: gpu, timeout: PT1M, heartbeat: PT5S, idempotent: false, priorityKey: 1, fairnessWeight: 2`;
  const PLANNED = {
    resources: 'gpu',
    startToCloseMs: 60_000,
    heartbeatMs: 5_000,
    idempotent: false,
    priorityKey: 1,
    fairnessWeight: 2,
  };
  it('take what the document says for all of its steps', () => {
    expect(withDefaults(`{ ${ALL} }`, 'call: fs.list')).toMatchObject(PLANNED);
  });

  it('take what the step says', () => {
    expect(planCall(`call: fs.list, metadata: { ${ALL} }`)).toMatchObject(PLANNED);
  });

  it("prefer the step's word to the document's, key by key", () => {
    const plan = withDefaults(
      '{ resources: gpu, timeout: PT1M, priorityKey: 5, idempotent: true, owner: me }',
      'call: fs.list, metadata: { resources: cpu, timeout: { seconds: 2 }, idempotent: false }',
    );
    expect(plan).toMatchObject({ resources: 'cpu', startToCloseMs: 2_000, priorityKey: 5, idempotent: false });
    expect(plan).not.toHaveProperty('owner');
  });

  it('merge the retry policies of the block, the document and the step', () => {
    const plan = withDefaults(
      '{ retry: { initialInterval: PT2S, maximumAttempts: 9, nonRetryableErrorTypes: [BLW_FS_IO] } }',
      'call: fs.list, metadata: { retry: { maximumAttempts: 2, backoffCoefficient: 1 } }',
    );
    expect(plan.retry).toEqual({
      initialIntervalMs: 2_000,
      backoffCoefficient: 1,
      maximumIntervalMs: 30_000,
      maximumAttempts: 2,
      nonRetryableErrorTypes: ['BLW_FS_IO'],
    });
  });

  it('never wait longer at first than at most, which Temporal refuses', () => {
    expect(planCall('call: fs.list, metadata: { retry: { initialInterval: PT2M } }').retry).toMatchObject({
      initialIntervalMs: 120_000,
      maximumIntervalMs: 120_000,
    });
    const plan = planCall('call: fs.list, metadata: { retry: { initialInterval: PT2M, maximumInterval: PT1S } }');
    expect(plan.retry.maximumIntervalMs).toBe(120_000);
  });

  it('have a summary of their own, not that of the document', () => {
    expect(planCall("call: fs.list, metadata: { summary: 'List of ${ data.a }' }").summary).toEqual({
      text: ['List of ', { expr: 'data.a' }],
    });
    expect(withDefaults('{ summary: All }', 'call: fs.list')).not.toHaveProperty('summary');
  });

  it.each([
    ['text', 'http://x.test/{id}', { map: [['uri', { uri: ['http://x.test/', { variable: 'id' }] }]] }],
    ['an object', '{ uri: http://x.test }', { map: [['uri', { value: 'http://x.test' }]] }],
    ['an expression', "'${ data.uri }'", { map: [['uri', { expr: 'data.uri' }]] }],
  ])('have an endpoint in its object form, given as %s', (_form, endpoint, planned) => {
    const plan = planCall(
      `call: http, with: { method: get, endpoint: "${endpoint.replaceAll("'", '')}" }`.replace(
        '"{ uri: http://x.test }"',
        endpoint,
      ),
    );
    expect(plan.with).toEqual({
      map: [
        ['endpoint', planned],
        ['method', { value: 'get' }],
      ],
    });
  });

  it('have the authentication that they refer to', () => {
    const endpoint = (authentication: string) => `{ uri: http://x.test, authentication: ${authentication} }`;
    const use = "use: { authentications: { shop: { bearer: { token: '${ workflow.input.token }' } } } }\n";
    const named = planCall(`call: http, with: { method: get, endpoint: ${endpoint('{ use: shop }')} }`, use);
    const inline = planCall(
      `call: http, with: { method: get, endpoint: ${endpoint("{ bearer: { token: '${ workflow.input.token }' } }")} }`,
    );
    expect(named.with).toEqual(inline.with);
    expect(JSON.stringify(named.with)).toContain('workflow.input.token');
  });
});

describe('tasks', () => {
  it('have what every task may have', () => {
    const task = `{ if: data.a, input: { from: { b: '\${ data.b }' }, schema: { document: {} } }, output: { as: data.c, schema: { document: true } },
      export: { as: { d: '\${ output }' } }, timeout: { after: '\${ data.t }' }, then: end, set: { x: 1 } }`;
    expect(planTask(task.replace(/\n\s*/g, ' '))).toEqual({
      kind: 'set',
      name: 'a',
      path: '/do/0/a',
      if: 'data.a',
      input: { schema: {}, from: { map: [['b', { expr: 'data.b' }]] } },
      output: { as: { expr: 'data.c' }, schema: true },
      export: { as: { map: [['d', { expr: 'output' }]] } },
      timeout: { expr: 'data.t' },
      next: 'end',
      value: { value: { x: 1 } },
    });
  });

  it('have paths as JSON Pointers, with names escaped', () => {
    const [group] = planOf(
      flowText('- a/b: { do: [{ c~d: { try: [{ e: { wait: PT1S } }], catch: { do: [{ f: { wait: PT1S } }] } } }] }'),
    ).tasks;
    expect(JSON.stringify(group)).toContain('"/do/0/a~1b/do/0/c~0d/try/0/e"');
    expect(JSON.stringify(group)).toContain('"/do/0/a~1b/do/0/c~0d/catch/do/0/f"');
    const [fork] = planOf(flowText('- a: { fork: { branches: [{ b: { wait: PT1S } }] } }')).tasks;
    expect(fork).toMatchObject({ kind: 'fork', compete: false, branches: [{ path: '/do/0/a/fork/branches/0/b' }] });
  });

  it('have switches with their cases', () => {
    expect(
      planTask("{ switch: [{ x: { when: '${ data.a }', then: end } }, { y: { then: continue } }] }"),
    ).toMatchObject({
      cases: [
        { name: 'x', when: 'data.a', next: 'end' },
        { name: 'y', next: 'continue' },
      ],
    });
  });

  it.each<[string, Partial<ForPlan>]>([
    ['{ for: { in: data }, do: [{ b: { wait: PT1S } }] }', { each: 'item', at: 'index', in: { expr: 'data' } }],
    [
      "{ for: { in: '${ data.x }', each: o, at: i }, while: o.a, do: [{ b: { wait: PT1S } }] }",
      { each: 'o', at: 'i', in: { expr: 'data.x' }, while: 'o.a' },
    ],
    [
      "{ for: { in: [{ a: 1 }, { a: '${ data }' }] }, do: [{ b: { wait: PT1S } }] }",
      { in: { list: [{ value: { a: 1 } }, { map: [['a', { expr: 'data' }]] }] } },
    ],
  ])('have loops: %s', (task, plan) => {
    expect(planTask(task)).toMatchObject(plan);
  });

  it('have the errors and retries that they refer to', () => {
    const use = `use:
  errors: { gone: { type: t, status: 410 } }
  retries: { patient: { when: error.status == 503, delay: PT1S, backoff: { exponential: {} }, limit: { attempt: { count: 3, duration: PT1M }, duration: PT1H }, jitter: { from: PT0S, to: { seconds: 1 } } } }
`;
    expect(planTask('{ raise: { error: gone } }', use)).toMatchObject({ error: { value: { type: 't', status: 410 } } });
    const plan = planTask('{ try: [{ b: { wait: PT1S } }], catch: { retry: patient, then: end } }', use) as TryPlan;
    expect(plan.catch).toEqual({
      as: 'error',
      next: 'end',
      retry: {
        when: 'error.status == 503',
        delay: { value: 'PT1S' },
        backoff: 'exponential',
        maxAttempts: 3,
        attemptDuration: { value: 'PT1M' },
        maxDuration: { value: 'PT1H' },
        jitter: { from: { value: 'PT0S' }, to: { value: { seconds: 1 } } },
      },
    });
    expect(planTask('{ try: [{ b: { wait: PT1S } }], catch: { retry: {} } }')).toMatchObject({
      catch: { retry: { backoff: 'constant' } },
    });
    expect(planTask('{ try: [{ b: { wait: PT1S } }], catch: { retry: { backoff: { linear: {} } } } }')).toMatchObject({
      catch: { retry: { backoff: 'linear', delay: { value: 'PT1S' } } },
    });
    expect((planTask('{ try: [{ b: { wait: PT1S } }], catch: {} }') as TryPlan).catch).toEqual({ as: 'error' });
  });

  it('have an expression that is all of a set, and an object with expressions in it', () => {
    expect(planTask('{ set: data.a }')).toMatchObject({ value: { expr: 'data.a' } });
    expect(planTask("{ set: '${ data.a }' }")).toMatchObject({ value: { expr: 'data.a' } });
    expect(planTask("{ set: { b: 'data.a' } }")).toMatchObject({ value: { value: { b: 'data.a' } } });
  });
});
