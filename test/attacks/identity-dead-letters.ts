import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { DeadLetters, ListedLetter, Resolution } from '../../src/dsl/dead-letter';
import type { JsonObject } from '../../src/dsl/json';
import { lettersOf, resolveLetter } from '../helpers/broken-service';
import { historyText } from '../helpers/history-text';
import { eventually } from '../helpers/test-worker';
import { attack, codeIn, control, type IdentityCase, type IdentityWorld, sameAs } from './identity-world';

const KIND = 'dead letters';
const INVALID = 'BLW_TOKEN_INVALID';

interface Parked {
  readonly flow: WorkflowHandle;
  readonly letter: ListedLetter;
}

/** A flow of rita's that waits with a dead letter before it calls the service. */
async function park({ acme }: IdentityWorld, claims: JsonObject = {}, id = `flow-${randomUUID()}`): Promise<Parked> {
  const text = `do: [{get: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: none}}}, {ping: ${acme.ping}}]`;
  const flow = await acme.start(text, { id, claims: { sub: 'rita', ...claims } });
  const [letter] = await lettersOf(flow);
  if (letter === undefined) throw new Error('no dead letter waits');
  return { flow, letter };
}

const sealFor = ({ acme }: IdentityWorld, { flow, letter }: Parked, said: Resolution, claims?: JsonObject) =>
  acme.resolution(flow, { letter, said, claims: { sub: 'bob', ...claims } });

/** Undefined where the resolution was refused with that code, and the letter waits as before; the flow is ended. */
async function refused({ flow, letter }: Parked, said: JsonObject, code: string): Promise<string | undefined> {
  try {
    const got = await resolveLetter(flow, said).then(
      () => 'a resolution',
      (error: unknown) => codeIn(error),
    );
    if (got !== code) return `expected ${code}, got ${got ?? 'another error'}`;
    return sameAs((await flow.query<DeadLetters>('deadLetters')).letters, [letter]);
  } finally {
    await flow.terminate();
  }
}

const SKIP: Resolution = { action: 'skip' };
const RETRY: Resolution = { action: 'retry', with: { path: 'mine' }, comment: 'as agreed' };

/** Who may not. */
const PEOPLE: readonly (readonly [name: string, said: Resolution, claims: JsonObject, code: string])[] = [
  ['a person of another tenant', SKIP, { tenant: 'globex' }, 'BLW_TENANT_DENIED'],
  ['a person who may start flows only', SKIP, { scope: 'flow:start' }, 'BLW_SCOPE_DENIED'],
  ['a person who may decide on approvals only', SKIP, { scope: 'approval:* approval:decide' }, 'BLW_SCOPE_DENIED'],
  ['a person with a scope that nearly is the one', SKIP, { scope: 'deadletter:resolv' }, 'BLW_SCOPE_DENIED'],
  ['a name that only the sender says', { ...SKIP, by: 'alice' }, {}, INVALID],
  ['a token that has expired', SKIP, { exp: 1_000 }, INVALID],
  ['a token of another issuer', SKIP, { iss: 'x' }, INVALID],
  ['a token for another audience', SKIP, { aud: 'x' }, INVALID],
];

/** Approval of boss and chief that timed out, and waits as a dead letter of rita's before the service is called. */
async function parkApproval({ acme }: IdentityWorld): Promise<Parked> {
  const args = 'title: Pay?, timeout: PT0.1S, requiredApprovals: 2, assignees: {users: [boss, "${ data.chief }"]}';
  const text = `do: [{ask: {call: human.approval, metadata: {onFailure: deadLetter}, with: {${args}}}}, {ping: ${acme.ping}}]`;
  const flow = await acme.start(text, { claims: { sub: 'rita' }, input: { chief: 'chief' } });
  const [letter] = await lettersOf(flow);
  if (letter === undefined) throw new Error('no dead letter waits');
  return { flow, letter };
}

/** How somebody who may resolve dead letters would decide in the place of those who are asked. */
const APPROVALS: readonly (readonly [name: string, said: Resolution])[] = [
  ['other assignees', { action: 'retry', with: { assignees: { users: ['bob'] } } }],
  ['no assignees', { action: 'retry', with: { timeout: 'PT1H', assignees: null } }],
  ['fewer approvals', { action: 'retry', with: { requiredApprovals: 1 } }],
  ['the right to decide oneself', { action: 'retry', with: { selfApproval: true } }],
  ['a timeout that stands for something else', { action: 'retry', with: { onTimeout: 'continue' } }],
  ['another form', { action: 'retry', with: { form: {} } }],
  ['an input that names who decides', { action: 'retry', input: { chief: 'bob' } }],
  ['a decision for an output', { action: 'skip', output: { decision: 'approved', decisions: [] } }],
  ['an input in the place of a decision', { action: 'skip' }],
];

type Change = (sealed: JsonObject, plain: string) => JsonObject;

/** What is made of a retry that bob has sealed. */
const CHANGES: readonly (readonly [name: string, change: Change, code?: string])[] = [
  ['no token', ({ token: _, ...said }) => said, 'BLW_TOKEN_REQUIRED'],
  ['a plain token', (sealed, token) => ({ ...sealed, token })],
  [
    'a token that was sealed for another action',
    ({ token = '' }) => ({ action: 'discard', comment: 'as agreed', token }),
  ],
  ['a token that was sealed for other arguments', (sealed) => ({ ...sealed, with: { path: 'yours' } })],
  ['a token that was sealed with arguments', ({ with: _, ...said }) => said],
  ['a token that was sealed with arguments, for an input', ({ with: input = null, ...said }) => ({ ...said, input })],
  ['a token that was sealed with another comment', (sealed) => ({ ...sealed, comment: 'no' })],
  ['a changed token', (sealed) => ({ ...sealed, token: `${String(sealed.token)}A` })],
];

const copies: IdentityCase[] = [
  attack(KIND, 'a plain token, which does not come into the history', async (world) => {
    const parked = await park(world);
    const token = await world.acme.identity.token({ sub: 'bob' });
    const problem = await refused(parked, { action: 'skip', token }, INVALID);
    const text = await historyText(parked.flow);
    if (!text.includes('rita')) return 'what was looked through is not the history';
    return text.includes(token.split('.')[1] ?? '') ? 'the token is in the history' : problem;
  }),
  attack(KIND, 'what was sealed without an output, with null, and the other way round', async (world) => {
    const [one, two] = [await park(world), await park(world)];
    const { token } = await sealFor(world, one, { ...SKIP, output: null });
    const bare = await sealFor(world, two, SKIP);
    const problem = await refused(one, { ...SKIP, token: token ?? '' } as JsonObject, INVALID);
    return problem ?? (await refused(two, { ...bare, output: null }, INVALID));
  }),
  attack(KIND, 'what was copied from another flow', async (world) => {
    const [one, two] = [await park(world), await park(world)];
    const problem = await refused(two, await sealFor(world, one, SKIP), INVALID);
    await one.flow.terminate();
    return problem;
  }),
  attack(KIND, 'what was said before, where the step failed again', async (world) => {
    const parked = await park(world);
    const said = await sealFor(world, parked, { action: 'retry' });
    await resolveLetter(parked.flow, said);
    const letter = await eventually(async () => {
      const [again] = (await parked.flow.query<DeadLetters>('deadLetters')).letters;
      return again?.retries === 1 ? again : undefined;
    });
    return refused({ flow: parked.flow, letter }, said, INVALID);
  }),
  attack(KIND, 'what was said of an earlier flow with the same id', async (world) => {
    const parked = await park(world);
    const said = await sealFor(world, parked, SKIP);
    await parked.flow.terminate();
    return refused(await park(world, {}, parked.flow.workflowId), said, INVALID);
  }),
  attack(KIND, 'anything, where the policy of the tenant does not allow it', async (world) => {
    const parked = await park(world, { tenant: 'modest' });
    return refused(parked, await sealFor(world, parked, SKIP, { tenant: 'modest' }), 'BLW_SCOPE_DENIED');
  }),
];

/** Resolutions of those who may not. */
export const deadLetterCases: readonly IdentityCase[] = [
  ...PEOPLE.map(([name, said, claims, code]) =>
    attack(KIND, `of ${name}`, async (world) => {
      const parked = await park(world);
      return refused(parked, await sealFor(world, parked, said, claims), code);
    }),
  ),
  ...CHANGES.map(([name, change, code = INVALID]) =>
    attack(KIND, `with ${name}`, async (world) => {
      const parked = await park(world);
      const sealed = await sealFor(world, parked, RETRY);
      return refused(parked, change(sealed, await world.acme.identity.token({ sub: 'bob' })), code);
    }),
  ),
  ...copies,
  ...APPROVALS.map(([name, said]) =>
    attack(KIND, `of an approval, with ${name}`, async (world) => {
      const parked = await parkApproval(world);
      return refused(parked, await sealFor(world, parked, said), 'BLW_RESOLUTION_INVALID');
    }),
  ),
  control(KIND, 'of an approval, so that the same people are asked again', async (world) => {
    const parked = await parkApproval(world);
    const said: Resolution = { action: 'retry', with: { timeout: 'PT1H', title: 'Pay now?' } };
    await resolveLetter(parked.flow, await sealFor(world, parked, said));
    const approval = world.acme.worker.client.workflow.getHandle(`${parked.flow.workflowId}/ask`);
    // Under the same id as the one that timed out.
    const { title, assignees, requiredApprovals } = await eventually(async () => {
      const state = await approval.query<ApprovalState>('state');
      return state.status === 'pending' ? state : undefined;
    });
    await parked.flow.terminate();
    return sameAs([title, assignees, requiredApprovals], ['Pay now?', { users: ['boss', 'chief'] }, 2]);
  }),
  ...[
    ['a person of the tenant', {}],
    ['somebody whose token has that scope alone', { scope: 'deadletter:resolve' }],
  ].map(([name, claims]) =>
    control(KIND, `of ${String(name)}`, async (world) => {
      const parked = await park(world);
      const { by } = await resolveLetter(parked.flow, await sealFor(world, parked, SKIP, claims as JsonObject));
      return sameAs([by, await parked.flow.result()], ['bob', 'pong']);
    }),
  ),
];
