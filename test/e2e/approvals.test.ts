import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { Json } from '../../src/dsl/json';
import { errorOf, eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
});
afterAll(() => worker.stop());

const flowWith = (args: string) =>
  `do: [{ask: {call: human.approval, with: {title: "Pay \${ data.n }?"${args === '' ? '' : `, ${args}`}}}}]`;

/** Starts a flow with one approval and waits until that can be decided. */
async function ask(args = '', start = {}): Promise<{ flow: WorkflowHandle; approval: WorkflowHandle }> {
  const flow = await worker.start(flowWith(args), { n: 5 }, start);
  const { steps } = await progressWhen(flow, (progress) => progress.steps[0]?.approval !== undefined);
  const approval = worker.client.workflow.getHandle(steps[0]?.approval ?? '');
  await eventually(() => approval.query<ApprovalState>('state'));
  return { flow, approval };
}

const decide = (approval: WorkflowHandle, input: Json) =>
  approval.executeUpdate<ApprovalState, [Json]>('decide', { args: [input] });

async function refusalOf(approval: WorkflowHandle, input: Json): Promise<{ type: string; message: string }> {
  const error: unknown = await decide(approval, input).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowUpdateFailedError))
    throw new Error('expected the update to be refused', { cause: error });
  return error.cause as unknown as { type: string; message: string };
}

test('goes on with the outcome, who decided and what they said', async () => {
  const { flow, approval } = await ask();
  expect(approval.workflowId).toBe(`${flow.workflowId}/ask`);
  expect((await flow.describe()).searchAttributes.BeamlineStatus).toEqual(['AwaitingApproval']);
  expect(await approval.query<ApprovalState>('state')).toMatchObject({
    status: 'pending',
    title: 'Pay 5?',
    requiredApprovals: 1,
    flowId: flow.workflowId,
  });
  expect(await decide(approval, { decision: 'approved', by: 'alice', comment: 'fine' })).toMatchObject({
    status: 'approved',
  });
  expect(await flow.result()).toEqual({
    decision: 'approved',
    decisions: [{ decision: 'approved', by: 'alice', comment: 'fine', at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) }],
  });
});

test('takes a rejection as an outcome, not as an error', async () => {
  const { flow, approval } = await ask();
  await decide(approval, { decision: 'rejected', by: 'bob' });
  expect(await flow.result()).toMatchObject({ decision: 'rejected' });
});

test('needs as many different people as it says', async () => {
  const { flow, approval } = await ask('requiredApprovals: 2');
  expect(await decide(approval, { decision: 'approved', by: 'alice' })).toMatchObject({ status: 'pending' });
  expect(await refusalOf(approval, { decision: 'approved', by: 'alice' })).toMatchObject({
    type: 'BLW_APPROVAL_CLOSED',
  });
  expect(await decide(approval, { decision: 'approved', by: 'bob' })).toMatchObject({ status: 'approved' });
  expect(await flow.result()).toMatchObject({ decision: 'approved', decisions: [{ by: 'alice' }, { by: 'bob' }] });
});

test('counts a person once, who says it many times at once', async () => {
  const { flow, approval } = await ask('requiredApprovals: 3');
  await Promise.all(Array.from({ length: 20 }, () => approval.signal('approve', { by: 'alice' })));
  const state = await eventually(async () => {
    const now = await approval.query<ApprovalState>('state');
    return now.refused.length > 0 ? now : undefined;
  });
  expect(state).toMatchObject({ status: 'pending', decisions: [{ by: 'alice' }] });
  await Promise.all(['bob', 'carol'].flatMap((by) => [1, 2].map(() => approval.signal('approve', { by }))));
  const { decisions } = (await flow.result()) as { decisions: { by: string }[] };
  expect(decisions.map(({ by }) => by).sort()).toEqual(['alice', 'bob', 'carol']);
});

test('is decided by signals too, and shows the ones it refused', async () => {
  const { flow, approval } = await ask('assignees: {users: [alice]}');
  await approval.signal('approve', { by: 'mallory' });
  const state = await eventually(async () => {
    const now = await approval.query<ApprovalState>('state');
    return now.refused.length > 0 ? now : undefined;
  });
  expect(state).toMatchObject({
    status: 'pending',
    refused: [{ by: 'mallory', reason: expect.stringContaining('BLW_APPROVAL_DENIED') }],
  });
  await approval.signal('reject', { by: 'alice' });
  expect(await flow.result()).toMatchObject({ decision: 'rejected' });
});

describe('refuses', () => {
  test.each<[string, Json, string]>([
    ['no object', 'yes', 'BLW_APPROVAL_INVALID'],
    ['an unknown decision', { decision: 'maybe', by: 'alice' }, 'BLW_APPROVAL_INVALID'],
    ['nobody', { decision: 'approved' }, 'BLW_APPROVAL_INVALID'],
    ['an unknown key', { decision: 'approved', by: 'alice', force: true }, 'BLW_APPROVAL_INVALID'],
    ['somebody who is not an assignee', { decision: 'approved', by: 'mallory' }, 'BLW_APPROVAL_DENIED'],
    ['a member of another group', { decision: 'approved', by: 'mallory', groups: ['sales'] }, 'BLW_APPROVAL_DENIED'],
    ['the requester', { decision: 'approved', by: 'rita', groups: ['finance'] }, 'BLW_APPROVAL_DENIED'],
    ['a form that does not match', { decision: 'approved', by: 'alice', form: { amount: 'much' } }, 'BLW_DATA_INVALID'],
    ['an approval without the form', { decision: 'approved', by: 'alice' }, 'BLW_DATA_INVALID'],
  ])('%s', async (_, input, type) => {
    const form = '{type: object, required: [amount], properties: {amount: {type: number}}}';
    const { flow, approval } = await ask(`assignees: {users: [alice, rita], groups: [finance]}, form: ${form}`, {
      requestedBy: 'rita',
    });
    expect(await refusalOf(approval, input)).toMatchObject({ type });
    expect(await approval.query<ApprovalState>('state')).toMatchObject({ status: 'pending', decisions: [] });
    await decide(approval, { decision: 'approved', by: 'fay', groups: ['finance'], form: { amount: 3 } });
    expect(await flow.result()).toMatchObject({ decisions: [{ by: 'fay', form: { amount: 3 } }] });
  });
});

test('lets the requester decide where selfApproval says so', async () => {
  const { flow, approval } = await ask('selfApproval: true', { requestedBy: 'rita' });
  await decide(approval, { decision: 'approved', by: 'rita' });
  expect(await flow.result()).toMatchObject({ decision: 'approved' });
});

describe('at its timeout', () => {
  test('fails the step by default', async () => {
    const flow = await worker.start(flowWith('timeout: PT0.05S'), { n: 1 });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_APPROVAL_TIMEOUT', status: 408, instance: '/do/0/ask' });
  });

  test.each([
    ['reject', 'rejected'],
    ['continue', 'timedOut'],
  ])('with onTimeout: %s gives the outcome %s, never an approval', async (onTimeout, decision) => {
    expect(await worker.run(flowWith(`timeout: PT0.05S, onTimeout: ${onTimeout}`), { n: 1 })).toEqual({
      decision,
      decisions: [],
    });
  });
});

test('waits many times at once, in a loop inside of a fork', async () => {
  const branch = (name: string) =>
    `{${name}: {for: {in: "[1, 2]"}, do: [{ask: {call: human.approval, with: {title: "${name} \${ string(item) }"}}}]}}`;
  const flow = await worker.start(`do: [{f: {fork: {branches: [${branch('x')}, ${branch('y')}]}}}]`);
  const decided = new Set<string>();
  while (decided.size < 4) {
    const { steps } = await progressWhen(flow, (progress) => progress.steps.some(isWaiting(decided)));
    for (const { approval = '' } of steps.filter(isWaiting(decided))) {
      decided.add(approval);
      await eventually(() => decide(worker.client.workflow.getHandle(approval), { decision: 'approved', by: 'alice' }));
    }
  }
  expect(await flow.result()).toMatchObject([{ decision: 'approved' }, { decision: 'approved' }]);
});

const isWaiting = (decided: ReadonlySet<string>) => (step: { status: string; approval?: string }) =>
  step.status === 'awaitingApproval' && step.approval !== undefined && !decided.has(step.approval);

test('is cancelled with its flow', async () => {
  const { flow, approval } = await ask();
  await flow.cancel();
  await expect(flow.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  await eventually(async () => ((await approval.describe()).status.name === 'CANCELLED' ? true : undefined));
});

test('is cancelled with its flow where it has a timeout around it', async () => {
  const flow = await worker.start('do: [{ask: {call: human.approval, timeout: {after: PT1H}, with: {title: Go?}}}]');
  const approval = worker.client.workflow.getHandle(`${flow.workflowId}/ask`);
  await eventually(() => approval.query<ApprovalState>('state'));
  await flow.cancel();
  await expect(flow.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect((await approval.describe()).status.name).toBe('CANCELLED');
});

const CAUGHT =
  'do: [{t: {try: [{ask: {call: human.approval, with: {title: Go?}}}], catch: {do: [{h: {set: {code: "${ error.code }", at: "${ error.instance }"}}}]}}}]';

test('fails the step, not the flow, where somebody cancels the approval itself', async () => {
  const flow = await worker.start(CAUGHT);
  const approval = worker.client.workflow.getHandle(`${flow.workflowId}/t/ask`);
  await eventually(() => approval.query<ApprovalState>('state'));
  await approval.cancel();
  expect(await flow.result()).toEqual({ code: 'BLW_CANCELLED', at: '/do/0/t/try/0/ask' });
});

test('fails the step where the workflow id of the approval is taken', async () => {
  const workflowId = `flow-${randomUUID()}`;
  const taskQueue = `${worker.queuePrefix}-io`;
  const start = (id: string, flow: string) =>
    worker.client.workflow.start('runFlow', { taskQueue, workflowId: id, args: [{ flow: flowOf(flow) }] });
  const other = await start(`${workflowId}/t/ask`, 'do: [{w: {wait: PT1H}}]');
  const flow = await start(workflowId, CAUGHT);
  expect(await flow.result()).toEqual({ code: 'BLW_BLOCK_FAILED', at: '/do/0/t/try/0/ask' });
  await other.terminate();
});

test('is decided also after signals with endless texts', async () => {
  const { flow, approval } = await ask('assignees: {users: [alice]}');
  for (let count = 0; count < 4; count += 1) await approval.signal('approve', { by: 'x'.repeat(1_500_000) });
  expect(await decide(approval, { decision: 'approved', by: 'alice' })).toMatchObject({ status: 'approved' });
  expect(await flow.result()).toMatchObject({ decision: 'approved' });
});

test.each<[string, Json]>([
  ['something else', { title: 'x' }],
  ['nothing', null],
  [
    'all that a flow brings, but in a form that no flow checked',
    {
      tenant: 'a',
      flow: 'f',
      flowId: 'i',
      stepId: 's',
      title: 't',
      onTimeout: 'fail',
      requiredApprovals: 1,
      timeoutMs: 'soon',
    },
  ],
])('fails at once where somebody starts one by hand with %s', async (_, request) => {
  const handle = await worker.client.workflow.start('approval', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `by-hand-${randomUUID()}`,
    args: [request],
  });
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_START_INVALID' });
});

test('fails the step where its arguments turn out wrong', async () => {
  const error = await worker.fail('do: [{ask: {call: human.approval, with: {title: "${ data.title }"}}}]', {
    title: 7,
  });
  expect(error).toMatchObject({ code: 'BLW_ARG_INVALID', instance: '/do/0/ask' });
});
