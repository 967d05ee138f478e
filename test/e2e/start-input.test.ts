import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../../src/dsl/json';
import { errorOf, eventually, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
});
afterAll(() => worker.stop());

/** Starts a workflow with payloads as they stand, as any client of Temporal's may. */
async function startRaw(payloads: { encoding?: string; data: string }[], type = 'runFlow') {
  const workflowId = `raw-${randomUUID()}`;
  await worker.client.workflowService.startWorkflowExecution({
    namespace: worker.client.options.namespace,
    workflowId,
    requestId: workflowId,
    workflowType: { name: type },
    taskQueue: { name: `${worker.queuePrefix}-io` },
    input: {
      payloads: payloads.map(({ encoding, data }) => ({
        metadata: encoding === undefined ? {} : { encoding: Buffer.from(encoding) },
        data: Buffer.from(data),
      })),
    },
  });
  return worker.client.workflow.getHandle(workflowId);
}

const JSON_PLAIN = 'json/plain';
const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;

describe('a wrong start fails at once, in words, and not for ever', () => {
  test.each<[string, { encoding?: string; data: string }[], string]>([
    ['no input', [], 'got nothing, expected one JSON object'],
    ['text', [{ encoding: JSON_PLAIN, data: '"flow"' }], 'got a string, expected one JSON object'],
    ['a list', [{ encoding: JSON_PLAIN, data: '[]' }], 'got an array, expected one JSON object'],
    ['broken JSON', [{ encoding: JSON_PLAIN, data: '{"flow": ' }], 'the payload cannot be read'],
    ['an unknown encoding', [{ encoding: 'foo/bar', data: '{}' }], 'Unknown encoding: foo/bar'],
    ['no encoding', [{ data: '{}' }], 'the payload cannot be read'],
    ['no flow', [{ encoding: JSON_PLAIN, data: '{}' }], '"flow" is missing'],
    ['a wrong name', [{ encoding: JSON_PLAIN, data: '{"flow": "intake:1.0.0"}' }], 'expected namespace/name:version'],
    ['an unknown key', [{ encoding: JSON_PLAIN, data: '{"flow": {}, "inputs": 1}' }], 'did you mean "input"?'],
    ['a bad tenant', [{ encoding: JSON_PLAIN, data: '{"flow": {}, "tenant": "../x"}' }], 'tenant: got "../x"'],
    ['a token that is none', [{ encoding: JSON_PLAIN, data: '{"flow": {}, "token": 1}' }], 'token: got a number'],
    ['a flow nested too deep', [{ encoding: JSON_PLAIN, data: `{"flow": ${DEEP}}` }], 'nested deeper than 500 levels'],
    [
      'an input nested too deep, which is to be checked',
      [{ encoding: JSON_PLAIN, data: `{"flow": {"input": {}}, "input": ${DEEP}}` }],
      'nested deeper than 500 levels',
    ],
    ['a dry run', [{ encoding: JSON_PLAIN, data: '{"flow": {}, "mode": "dry-run"}' }], 'start it on the task queue'],
  ])('%s', async (_, payloads, detail) => {
    const error = await errorOf(await startRaw(payloads));
    expect(error).toMatchObject({ code: 'BLW_START_INVALID', status: 400 });
    expect(error.detail).toContain(detail);
  });

  test('an invalid flow, with all its problems', async () => {
    const flow = flowOf('do: [{a: {call: htp}}, {a: {set: {x: "${ nope }"}}}]');
    const handle = await worker.start(flow);
    const error = await errorOf(handle);
    expect(error).toMatchObject({ code: 'BLW_FLOW_INVALID' });
    expect((error.data as JsonObject).problems).toMatchObject([
      { code: 'BLW_NAME_DUPLICATE', path: '/do/1/a' },
      { code: 'BLW_BLOCK_UNKNOWN', path: '/do/0/a/call' },
      { code: 'BLW_EXPR_SYNTAX', path: '/do/1/a/set/x' },
    ]);
    expect((await handle.describe()).searchAttributes.BeamlineStatus).toEqual(['Failed']);
  });

  test('a token, where nobody checks it', async () => {
    const handle = await worker.start('do: [{s: {set: {a: 1}}}]', null, { token: 'a.b.c' });
    expect(await errorOf(handle)).toMatchObject({
      code: 'BLW_TOKEN_INVALID',
      detail: expect.stringContaining('checks no tokens'),
    });
  });

  test('an unknown workflow type', async () => {
    const handle = await startRaw([], 'runFlw');
    await expect(handle.result()).rejects.toMatchObject({
      cause: { type: 'BLW_START_INVALID', message: 'there is no workflow type "runFlw"; start one of type "runFlow"' },
    });
  });
});

test('a signal and an update that cannot be read do not stop an approval', async () => {
  const flow = await worker.start('do: [{ask: {call: human.approval, with: {title: Go?}}}]');
  const approval = worker.client.workflow.getHandle(`${flow.workflowId}/ask`);
  await eventually(() => approval.query('state'));
  await worker.client.workflowService.signalWorkflowExecution({
    namespace: worker.client.options.namespace,
    workflowExecution: { workflowId: approval.workflowId },
    signalName: 'approve',
    requestId: randomUUID(),
    input: { payloads: [{ metadata: { encoding: Buffer.from(JSON_PLAIN) }, data: Buffer.from('{broken') }] },
  });
  await approval.signal('approve', { by: 'alice' });
  expect(await flow.result()).toMatchObject({ decision: 'approved', decisions: [{ by: 'alice' }] });
});
