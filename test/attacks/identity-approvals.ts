import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { JsonObject } from '../../src/dsl/json';
import { APPROVAL } from '../../src/dsl/names';
import { historyText } from '../helpers/history-text';
import { eventually } from '../helpers/test-worker';
import { shown } from './attack';
import {
  attack,
  codeIn,
  control,
  firstProblem,
  type IdentityCase,
  type IdentityWorld,
  inputOf,
  sameAs,
} from './identity-world';

const KIND = 'decisions';
const INVALID = 'BLW_TOKEN_INVALID';

interface Asked {
  readonly flow: WorkflowHandle;
  readonly approval: WorkflowHandle;
}

/** Starts a flow with one approval, as rita, and waits until that can be decided. */
async function ask({ acme }: IdentityWorld, args: string, claims: JsonObject = {}): Promise<Asked> {
  const text = `do: [{ask: {call: human.approval, with: {title: Pay?${args === '' ? '' : `, ${args}`}}}}, {ping: ${acme.ping}}]`;
  const flow = await acme.start(text, { claims: { sub: 'rita', ...claims } });
  const approval = acme.worker.client.workflow.getHandle(`${flow.workflowId}/ask`);
  await eventually(() => approval.query<ApprovalState>('state'));
  return { flow, approval };
}

/** Code that a decision is refused with; undefined where it counted. */
async function decide(approval: WorkflowHandle, said: JsonObject): Promise<string | undefined> {
  try {
    await approval.executeUpdate<ApprovalState, [JsonObject]>('decide', { args: [said] });
    return undefined;
  } catch (error) {
    const code = codeIn(error);
    if (code === undefined) throw error;
    return code;
  }
}

/** Undefined where the decision was refused with that code, and nothing has been decided; the flow is ended. */
async function refused({ flow, approval }: Asked, said: JsonObject, code: string): Promise<string | undefined> {
  try {
    const got = await decide(approval, said);
    if (got !== code) return `expected ${code}, got ${got ?? 'a decision'}`;
    const { status, decisions } = await approval.query<ApprovalState>('state');
    return sameAs([status, decisions], ['pending', []]);
  } finally {
    await flow.terminate();
  }
}

/** Whose decision is none. */
const PEOPLE: readonly (readonly [name: string, said: JsonObject, claims: JsonObject, code: string])[] = [
  ['somebody who is no assignee', {}, { sub: 'mallory' }, 'BLW_APPROVAL_DENIED'],
  ['a member of another group', {}, { sub: 'mallory', groups: ['Finance', 'finance '] }, 'BLW_APPROVAL_DENIED'],
  ['groups that only the sender names', { groups: ['finance'] }, { sub: 'mallory' }, 'BLW_APPROVAL_DENIED'],
  ['a person that only the sender names', { by: 'bob' }, { sub: 'mallory' }, 'BLW_APPROVAL_DENIED'],
  ['the one who asks, a member of the group', {}, { sub: 'rita', groups: ['finance'] }, 'BLW_APPROVAL_DENIED'],
  ['a person of another tenant', {}, { sub: 'bob', tenant: 'globex' }, 'BLW_TENANT_DENIED'],
  ['a person without the scope', {}, { sub: 'bob', scope: 'flow:start approval:request' }, 'BLW_SCOPE_DENIED'],
  ['a token that has expired', {}, { sub: 'bob', exp: 1_000 }, INVALID],
  ['a token of another issuer', {}, { sub: 'bob', iss: 'x' }, INVALID],
  ['a token for another audience', {}, { sub: 'bob', aud: 'x' }, INVALID],
];

type Change = (sealed: JsonObject, plain: string) => JsonObject;

/** What is made of a rejection that bob has sealed. */
const CHANGES: readonly (readonly [name: string, change: Change, code: string])[] = [
  ['no token', () => ({ decision: 'approved', by: 'bob' }), 'BLW_TOKEN_REQUIRED'],
  ['a plain token', (_, token) => ({ decision: 'approved', token }), INVALID],
  ['a token that was sealed for a rejection', (sealed) => ({ ...sealed, decision: 'approved' }), INVALID],
  ['a token that was sealed for another comment', (sealed) => ({ ...sealed, comment: 'no' }), INVALID],
  ['a token that was sealed for another form', (sealed) => ({ ...sealed, form: { n: 2 } }), INVALID],
  ['a changed token', (sealed) => ({ ...sealed, token: `${String(sealed.token)}A` }), INVALID],
];

const others: IdentityCase[] = [
  attack(KIND, 'a plain token, which does not come into the history', async (world) => {
    const { flow, approval } = await ask(world, '');
    const token = await world.acme.identity.token({ sub: 'bob' });
    const code = await decide(approval, { decision: 'approved', token });
    const text = await historyText(approval);
    await flow.terminate();
    if (code !== INVALID) return `expected ${INVALID}, got ${code ?? 'a decision'}`;
    if (!text.includes('Pay?')) return 'what was looked through is not the history';
    return text.includes(token.split('.')[1] ?? '') ? 'the token is in the history' : undefined;
  }),
  attack(KIND, 'one that was copied from another approval', async (world) => {
    const [first, second] = [await ask(world, ''), await ask(world, '')];
    const said = await world.acme.decision(first.approval, { decision: 'approved' }, { sub: 'bob' });
    const problem = await refused(second, said, INVALID);
    await first.flow.terminate();
    return problem;
  }),
  // The flow again, with the same ids: what bob said the last time is in the history for all to copy.
  attack(KIND, 'one of the last time that the same approval asked', async (world) => {
    const { acme } = world;
    const text = 'do: [{ask: {call: human.approval, with: {title: Pay?}}}]';
    const id = `flow-${randomUUID()}`;
    const flow = await acme.start(text, { id, claims: { sub: 'rita' } });
    const approval = acme.worker.client.workflow.getHandle(`${id}/ask`);
    await eventually(() => approval.query<ApprovalState>('state'));
    const said = await acme.decision(approval, { decision: 'approved' }, { sub: 'bob' });
    if ((await decide(approval, said)) !== undefined) return 'bob could not decide';
    await flow.result();
    const again = await acme.start(text, { id, claims: { sub: 'rita' } });
    await eventually(async () =>
      (await approval.query<ApprovalState>('state')).status === 'pending' ? true : undefined,
    );
    return refused({ flow: again, approval }, said, INVALID);
  }),
  attack(KIND, 'one person twice, also at the same moment', async (world) => {
    const { flow, approval } = await ask(world, 'requiredApprovals: 2');
    const said = await Promise.all(
      ['one', 'two', 'three'].map((comment) =>
        world.acme.decision(approval, { decision: 'approved', comment }, { sub: 'bob' }),
      ),
    );
    const codes = await Promise.all(said.map((one) => decide(approval, one)));
    const { status, decisions } = await approval.query<ApprovalState>('state');
    await flow.terminate();
    return firstProblem(
      async () => sameAs(codes.map(String).sort(), ['BLW_APPROVAL_CLOSED', 'BLW_APPROVAL_CLOSED', 'undefined']),
      async () => sameAs([status, decisions.map(({ by }) => by)], ['pending', ['bob']]),
    );
  }),
  attack(KIND, 'signals without a token, and of somebody who is no assignee', async (world) => {
    const { flow, approval } = await ask(world, 'assignees: {users: [bob]}');
    await approval.signal('approve', { by: 'bob' });
    const said = await world.acme.decision(approval, { decision: 'approved' }, { sub: 'mallory' });
    await approval.signal('approve', said);
    const { status, refused: reasons } = await eventually(async () => {
      const now = await approval.query<ApprovalState>('state');
      return now.refused.length === 2 ? now : undefined;
    });
    await flow.terminate();
    const codes = reasons.map(({ reason }) => /BLW_\w+/.exec(reason)?.[0]).sort();
    return sameAs([status, codes], ['pending', ['BLW_APPROVAL_DENIED', 'BLW_TOKEN_REQUIRED']]);
  }),
  attack(KIND, 'on an approval that a foreign workflow asks for', async (world) => {
    const { flow, approval } = await ask(world, '');
    const workflowId = `fake-${randomUUID()}`;
    const args = [APPROVAL, [await inputOf(approval)], { workflowId, ...world.onOurQueue }];
    const parent = await world.foreign('startForeign', args);
    const fake = world.acme.worker.client.workflow.getHandle(workflowId);
    await eventually(() => fake.query('state'));
    const code = await decide(fake, await world.acme.decision(fake, { decision: 'approved' }, { sub: 'bob' }));
    await parent.terminate();
    await flow.terminate();
    return code === INVALID ? undefined : `expected ${INVALID}, got ${code ?? 'a decision'}`;
  }),
];

const DECIDERS: readonly (readonly [name: string, args: string, claims: JsonObject])[] = [
  ['an assignee', 'assignees: {users: [bob]}', { sub: 'bob' }],
  ['a member of the group', 'assignees: {groups: [finance]}', { sub: 'fay', groups: ['finance'] }],
  ['the one who asks, where that is allowed', 'selfApproval: true', { sub: 'rita' }],
  ['anybody else of the tenant, where nobody is named', '', { sub: 'zoe' }],
  ['somebody whose token has that scope alone', '', { sub: 'zoe', scope: 'approval:decide' }],
];

/** Decisions that are not the deciders' own. */
export const approvalCases: readonly IdentityCase[] = [
  ...PEOPLE.map(([name, said, claims, code]) =>
    attack(KIND, `of ${name}`, async (world) => {
      const asked = await ask(world, 'assignees: {users: [bob], groups: [finance]}');
      return refused(asked, await world.acme.decision(asked.approval, { decision: 'approved', ...said }, claims), code);
    }),
  ),
  ...CHANGES.map(([name, change, code]) =>
    attack(KIND, `with ${name}`, async (world) => {
      const asked = await ask(world, 'assignees: {users: [bob]}');
      const sealed = await world.acme.decision(asked.approval, { decision: 'rejected' }, { sub: 'bob' });
      return refused(asked, change(sealed, await world.acme.identity.token({ sub: 'bob' })), code);
    }),
  ),
  ...others,
  ...DECIDERS.map(([name, args, claims]) =>
    control(KIND, `of ${name}`, async (world) => {
      const { flow, approval } = await ask(world, args);
      const code = await decide(approval, await world.acme.decision(approval, { decision: 'approved' }, claims));
      if (code !== undefined) return `it was refused with ${code}`;
      const output = await flow.result();
      return output === 'pong' ? undefined : `the flow gave ${shown(output)}`;
    }),
  ),
];
