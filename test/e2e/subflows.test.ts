import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { errorOf, eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const catalog = makeCatalogFolder({
  'double.yaml': flowText(
    'sub/double:1.0.0',
    "input: { schema: { document: { type: object, required: [n] } } }\ndo:\n  - two: { set: { result: '${ data.n * 2 }', tenant: '${ runtime.metadata.tenant }' } }",
  ),
  'double-2.yaml': flowText('sub/double:2.0.0', 'do:\n  - two: { set: { version: 2 } }'),
  'fail.yaml': flowText(
    'sub/fail:1.0.0',
    "do:\n  - deep:\n      do:\n        - raise: { raise: { error: { type: 'https://example.com/no-stock', status: 409, title: No stock } } }",
  ),
  'coded.yaml': flowText('sub/coded:1.0.0', 'do:\n  - read: { call: fs.get, with: { path: nowhere } }'),
  'wait.yaml': flowText('sub/wait:1.0.0', 'do:\n  - pause: { wait: PT30S }'),
  'short.yaml': flowText('sub/short:1.0.0', 'do:\n  - pause: { wait: PT0.5S }\n  - done: { set: { done: true } }'),
  'ask.yaml': flowText('sub/ask:1.0.0', 'do:\n  - approve: { call: human.approval, with: { title: Sure? } }'),
  'endless.yaml': flowText(
    'sub/endless:1.0.0',
    'do:\n  - again: { run: { workflow: { namespace: sub, name: endless, version: latest } } }',
  ),
});

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io', catalog: catalog.folder });
});
afterAll(async () => {
  await worker.stop();
  catalog.dispose();
});

const running = (name: string, rest = '', input = '{}') =>
  `do:\n  - sub: { run: { workflow: { namespace: sub, name: ${name}, version: '1.0.0', input: ${input} }${rest} } }`;

it("puts out the flow's output, and runs it for the same tenant", async () => {
  const flow = running('double', '', "{ n: '${ data.number }' }");
  expect(await worker.run(flow, { number: 21 }, { tenant: 'acme' })).toEqual({ result: 42, tenant: 'acme' });
});

it('runs the newest release for latest', async () => {
  const flow = 'do:\n  - sub: { run: { workflow: { namespace: sub, name: double, version: latest } } }';
  expect(await worker.run(flow)).toEqual({ version: 2 });
});

it('gives each flow that it runs an id of its own, told from the names on the way', async () => {
  const flow = `
do:
  - group:
      do:
        - loop:
            for: { in: '[1, 2]' }
            do:
              - sub: { run: { workflow: { namespace: sub, name: double, version: 1.0.0, input: { n: '\${ item }' } } } }
`;
  const handle = await worker.start(flow);
  expect(await handle.result()).toMatchObject({ result: 4 });
  const child = worker.client.workflow.getHandle(`${handle.workflowId}/group/loop/sub/1`);
  expect(await child.result()).toMatchObject({ result: 4 });
  const { parentExecution } = await child.describe();
  expect(parentExecution?.workflowId).toBe(handle.workflowId);
});

it("fails with the flow's own error, at the step that runs it", async () => {
  expect(await worker.fail(running('fail'))).toMatchObject({
    type: 'https://example.com/no-stock',
    status: 409,
    title: 'No stock',
    instance: '/do/0/sub',
  });
  expect(await worker.fail(running('coded'))).toMatchObject({ code: 'BLW_FS_NOT_FOUND', instance: '/do/0/sub' });
  expect(await worker.fail(running('double'))).toMatchObject({ code: 'BLW_DATA_INVALID', instance: '/do/0/sub' });
});

it('lets a catch take the error of a flow', async () => {
  const flow = `
do:
  - attempt:
      try:
        - sub: { run: { workflow: { namespace: sub, name: fail, version: 1.0.0 } } }
      catch:
        errors: { with: { type: 'https://example.com/no-stock' } }
        do:
          - note: { set: { caught: '\${ error.status }' } }
`;
  expect(await worker.run(flow)).toEqual({ caught: 409 });
});

it('only starts a flow that is not awaited, which goes on when its parent has ended', async () => {
  const handle = await worker.start(running('short', ', await: false'), { kept: 'input' });
  expect(await handle.result()).toEqual({ kept: 'input' });
  expect(await worker.client.workflow.getHandle(`${handle.workflowId}/sub`).result()).toEqual({ done: true });
});

it('leaves a flow that is not awaited alone when its parent is cancelled', async () => {
  const flow = `${running('short', ', await: false')}\n  - pause: { wait: PT30S }`;
  const handle = await worker.start(flow);
  await progressWhen(handle, ({ steps }) => steps.some(({ name }) => name === 'pause'));
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect(await worker.client.workflow.getHandle(`${handle.workflowId}/sub`).result()).toEqual({ done: true });
});

const childOf = async (id: string) =>
  await eventually(async () => {
    const child = worker.client.workflow.getHandle(`${id}/sub`);
    return (await child.describe()).status.name === 'RUNNING' ? child : undefined;
  });

it('cancels the flow that it awaits when it is cancelled itself', async () => {
  const handle = await worker.start(running('wait'));
  const child = await childOf(handle.workflowId);
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  expect((await handle.describe()).status.name).toBe('CANCELLED');
  expect((await child.describe()).status.name).toBe('CANCELLED');
});

it('fails where somebody cancels the flow that it awaits', async () => {
  const handle = await worker.start(running('wait'));
  const child = await childOf(handle.workflowId);
  await child.cancel();
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_CANCELLED', instance: '/do/0/sub' });
});

it('cancels the flow that it awaits when its timeout is over', async () => {
  const handle = await worker.start(`${running('wait')}\n`.replace('sub: {', 'sub: { timeout: { after: PT1S },'));
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_STEP_TIMEOUT', instance: '/do/0/sub' });
  expect((await worker.client.workflow.getHandle(`${handle.workflowId}/sub`).describe()).status.name).toBe('CANCELLED');
});

it('shows the flow that a step runs in the progress', async () => {
  const handle = await worker.start(running('short'));
  await handle.result();
  const { steps } = await progressWhen(handle, () => true);
  expect(steps).toEqual([
    expect.objectContaining({ name: 'sub', block: 'subflow', child: `${handle.workflowId}/sub`, status: 'completed' }),
  ]);
});

it('does not let whoever asked for a flow approve in a flow that it runs', async () => {
  const handle = await worker.start(running('ask'), null, { requestedBy: 'alice' });
  const approval = worker.client.workflow.getHandle(`${handle.workflowId}/sub/approve`);
  const decide = (by: string) => approval.executeUpdate('decide', { args: [{ decision: 'approved', by }] });
  await eventually(async () => ((await approval.describe()).status.name === 'RUNNING' ? true : undefined));
  await expect(decide('alice')).rejects.toMatchObject({ cause: { message: expect.stringContaining('alice') } });
  await decide('bob');
  expect(await handle.result()).toMatchObject({ decision: 'approved' });
});

it('ends flows that run themselves without an end', async () => {
  expect(await worker.fail(running('endless'))).toMatchObject({ code: 'BLW_FLOW_DEPTH', instance: '/do/0/sub' });
});

test.each([
  ['namespace: sub, name: nobody, version: 1.0.0', 'BLW_FLOW_UNKNOWN'],
  ['namespace: sub, name: double, version: 9.0.0', 'there are: 2.0.0, 1.0.0'],
])('refuses a flow that runs { %s } before it starts', async (workflow, message) => {
  const error = await worker.fail(`do:\n  - sub: { run: { workflow: { ${workflow} } } }`);
  expect(error).toMatchObject({ code: 'BLW_FLOW_INVALID', detail: expect.stringContaining(message) });
});

it('refuses a depth that nobody but the worker sets', async () => {
  const error = await worker.fail('do:\n  - a: { set: { a: 1 } }', null, { depth: -1 });
  expect(error).toMatchObject({ code: 'BLW_START_INVALID', detail: expect.stringContaining('the worker sets it') });
});
