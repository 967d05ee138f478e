import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { Json, JsonObject } from '../../src/dsl/json';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let acme: IdentityWorker;
/** Checks no tokens. */
let open: TestWorker;
beforeAll(async () => {
  const approvers = new Map([['board', ['dan', 'eve']]]);
  acme = await startIdentityWorker([
    tenantPolicy('acme', ALL_SCOPES, { approvers }),
    tenantPolicy('globex', ALL_SCOPES),
    tenantPolicy('meek', ['flow:start', 'block:*', 'resources:*', 'approval:request']),
  ]);
  open = await startTestWorker({ pools: 'io' });
});
afterAll(async () => {
  await acme.stop();
  await open.stop();
});

/** Starts a flow with one approval, as rita, and waits until that can be decided. */
async function ask(args: string, claims: JsonObject = {}): Promise<{ flow: WorkflowHandle; approval: WorkflowHandle }> {
  const text = `do: [{ask: {call: human.approval, with: {title: Pay?${args === '' ? '' : `, ${args}`}}}}, {ping: ${acme.ping}}]`;
  const flow = await acme.start(text, { claims: { sub: 'rita', ...claims } });
  const { steps } = await progressWhen(flow, (progress) => progress.steps[0]?.approval !== undefined);
  const approval = acme.worker.client.workflow.getHandle(steps[0]?.approval ?? '');
  await eventually(() => approval.query<ApprovalState>('state'));
  return { flow, approval };
}

const decide = (approval: WorkflowHandle, input: Json) =>
  approval.executeUpdate<ApprovalState, [Json]>('decide', { args: [input] });

const codeOf = (outcome: PromiseSettledResult<unknown>): string => {
  if (outcome.status === 'fulfilled') return 'accepted';
  const { reason } = outcome as { reason: unknown };
  if (!(reason instanceof WorkflowUpdateFailedError)) throw reason;
  return String((reason.cause as { type?: string }).type);
};

async function refusalOf(approval: WorkflowHandle, input: Json): Promise<string> {
  const [outcome] = await Promise.allSettled([decide(approval, input)]);
  return codeOf(outcome as PromiseSettledResult<unknown>);
}

const state = (approval: WorkflowHandle) => approval.query<ApprovalState>('state');

test('says that it needs a token, and who decided, and shows no token and no grant', async () => {
  const { flow, approval } = await ask('assignees: {users: [bob]}');
  const pending = await state(approval);
  expect(pending).toMatchObject({ status: 'pending', needsToken: true, requestedBy: 'rita', tenant: 'acme' });
  expect(pending).not.toHaveProperty('grant');
  const decided = await decide(approval, await acme.decision(approval, { decision: 'approved' }, { sub: 'bob' }));
  expect(decided).toMatchObject({ status: 'approved', decisions: [{ by: 'bob' }] });
  expect(JSON.stringify(decided)).not.toContain('eyJ');
  expect(await flow.result()).toBe('pong');
});

test('counts one person once, also where two decisions are in flight', async () => {
  const { flow, approval } = await ask('requiredApprovals: 2');
  const said = await Promise.all(
    ['one', 'two', 'three'].map((comment) =>
      acme.decision(approval, { decision: 'approved', comment }, { sub: 'bob' }),
    ),
  );
  const outcomes = (await Promise.allSettled(said.map((one) => decide(approval, one)))).map(codeOf);
  expect(outcomes.sort()).toEqual(['BLW_APPROVAL_CLOSED', 'BLW_APPROVAL_CLOSED', 'accepted']);
  expect(await state(approval)).toMatchObject({ status: 'pending', decisions: [{ by: 'bob' }] });
  await decide(approval, await acme.decision(approval, { decision: 'approved' }, { sub: 'dan' }));
  expect(await flow.result()).toBe('pong');
});

test.each<[string, string, JsonObject]>([
  ['an assignee', 'assignees: {users: [bob]}', { sub: 'bob' }],
  ['a member of a group, as the token says', 'assignees: {groups: [finance]}', { sub: 'fay', groups: ['finance'] }],
  ['a member of a group, as the policy says', 'assignees: {groups: [board]}', { sub: 'eve' }],
  ['the one who asks, where that is allowed', 'selfApproval: true', { sub: 'rita' }],
  ['anybody else of the tenant, where nobody is named', '', { sub: 'zoe' }],
  ['a person who says the same name', 'assignees: {users: [bob]}', { sub: 'bob', scope: 'approval:decide' }],
])('takes the decision of %s', async (_, args, claims) => {
  const { flow, approval } = await ask(args);
  await decide(approval, await acme.decision(approval, { decision: 'approved', by: String(claims.sub) }, claims));
  expect(await flow.result()).toBe('pong');
});

test('takes signals with a token, and shows why one did not count', async () => {
  const { flow, approval } = await ask('assignees: {users: [bob]}');
  await approval.signal('approve', { by: 'bob' });
  await approval.signal('approve', await acme.decision(approval, { decision: 'approved' }, { sub: 'mallory' }));
  const { refused } = await eventually(async () => {
    const now = await state(approval);
    return now.refused.length === 2 ? now : undefined;
  });
  expect(refused.map(({ by }) => by)).toEqual(['unknown', 'unknown']);
  expect(refused.map(({ reason }) => /BLW_\w+/.exec(reason)?.[0]).sort()).toEqual([
    'BLW_APPROVAL_DENIED',
    'BLW_TOKEN_REQUIRED',
  ]);
  const { token } = await acme.decision(approval, { decision: 'approved' }, { sub: 'bob' });
  await approval.signal('approve', { token });
  expect(await flow.result()).toBe('pong');
});

test('checks the form after the token, and both again where another was quicker', async () => {
  const form = '{type: object, required: [n], properties: {n: {type: integer}}}';
  const { flow, approval } = await ask(`requiredApprovals: 2, form: ${form}`);
  const bad = await acme.decision(approval, { decision: 'approved', form: { n: 'x' } }, { sub: 'bob' });
  expect(await refusalOf(approval, bad)).toBe('BLW_DATA_INVALID');
  const said = await Promise.all(
    [1, 2].map((n) => acme.decision(approval, { decision: 'approved', form: { n } }, { sub: 'bob' })),
  );
  const outcomes = (await Promise.allSettled(said.map((one) => decide(approval, one)))).map(codeOf);
  expect(outcomes.sort()).toEqual(['BLW_APPROVAL_CLOSED', 'accepted']);
  await flow.terminate();
});

test('a tenant that may ask and not decide needs somebody who may', async () => {
  const { flow, approval } = await ask('', { tenant: 'meek' });
  const said = await acme.decision(approval, { decision: 'approved' }, { sub: 'bob', tenant: 'meek' });
  expect(await refusalOf(approval, said)).toBe('BLW_SCOPE_DENIED');
  await flow.terminate();
});

test('where nobody is checked, a token is refused, before it is in the history', async () => {
  const flow = await open.start('do: [{ask: {call: human.approval, with: {title: Pay?}}}]');
  const { steps } = await progressWhen(flow, (progress) => progress.steps[0]?.approval !== undefined);
  const approval = open.client.workflow.getHandle(steps[0]?.approval ?? '');
  await eventually(() => state(approval));
  expect(await state(approval)).not.toHaveProperty('needsToken');
  const token = await acme.identity.token();
  expect(await refusalOf(approval, { decision: 'approved', by: 'bob', token })).toBe('BLW_APPROVAL_INVALID');
  await decide(approval, { decision: 'approved', by: 'bob' });
  expect(await flow.result()).toMatchObject({ decision: 'approved' });
});
