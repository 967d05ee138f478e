import { ApplicationFailure, CancelledFailure, TerminatedFailure, TimeoutFailure } from '@temporalio/client';
import { quote } from '../../src/cli/approval-client';
import { approvalTable } from '../../src/cli/approval-view';
import { mapBounded } from '../../src/cli/bounded';
import { translateClientError } from '../../src/cli/client-errors';
import { usageError } from '../../src/cli/command-error';
import { outcomeOfFailure } from '../../src/cli/flow-outcome';
import { printFlowFailure } from '../../src/cli/flow-report';
import { unfollowed } from '../../src/cli/going-on';
import { createOutput } from '../../src/cli/output';
import { ReleaseStack } from '../../src/cli/release-stack';
import { uiLink } from '../../src/cli/ui-link';
import type { ApprovalState } from '../../src/dsl/approval';
import { FlowError, flowError } from '../../src/dsl/errors';
import type { JsonObject } from '../../src/dsl/json';
import { CollectedText } from '../helpers/collected-text';

describe('mapBounded', () => {
  it('keeps the order of the items and never has more at once than allowed', async () => {
    let running = 0;
    let most = 0;
    const results = await mapBounded([5, 1, 4, 2, 3], 2, async (item) => {
      running += 1;
      most = Math.max(most, running);
      for (let turn = 0; turn < item; turn += 1) await Promise.resolve();
      running -= 1;
      return item * 10;
    });
    expect(results).toEqual([50, 10, 40, 20, 30]);
    expect(most).toBe(2);
  });

  it('has nothing to do for no items', async () => {
    expect(await mapBounded([], 4, async (item) => item)).toEqual([]);
  });
});

describe('ReleaseStack', () => {
  it('releases the last first, and all of them although one fails', async () => {
    const released: string[] = [];
    const failures: unknown[] = [];
    const stack = new ReleaseStack((error) => failures.push(error));
    stack.add(() => released.push('first'));
    stack.add(() => Promise.reject(new Error('stuck')));
    stack.add(() => released.push('last'));
    await stack.releaseAll();
    await stack.releaseAll();
    expect(released).toEqual(['last', 'first']);
    expect(failures).toEqual([new Error('stuck')]);
  });
});

describe('outcomeOfFailure', () => {
  const data = { type: 'https://example.com/no', status: 409, detail: 'no', instance: '/do/0/x' };

  it.each([
    ['Failed', ApplicationFailure.create({ message: 'm', type: 't', details: [data] }), data],
    ['Failed', ApplicationFailure.create({ message: 'm', type: 'BLW_X' }), { status: 500, detail: 'm', code: 'BLW_X' }],
    ['Failed', new Error('odd'), { type: 'about:blank', status: 500, detail: 'odd' }],
    ['Cancelled', new CancelledFailure('c'), { code: 'BLW_CANCELLED', detail: 'the flow was cancelled' }],
    ['Terminated', new TerminatedFailure('by hand'), { detail: 'the flow was terminated: by hand' }],
    ['TimedOut', new TimeoutFailure('t', undefined, 'START_TO_CLOSE'), { code: 'BLW_STEP_TIMEOUT', status: 408 }],
  ])('is %s for %s', (status, failure, error) => {
    expect(outcomeOfFailure(failure)).toMatchObject({ status, error });
  });
});

describe('translateClientError', () => {
  const where = { address: 'temporal:7233', namespace: 'flows' };
  const grpcError = (code: number) => Object.assign(new Error('x'), { code, details: 'why', metadata: {} });

  it.each([
    [14, 'BLW_TEMPORAL_UNREACHABLE', 'Temporal at temporal:7233 does not answer as expected: why'],
    [4, 'BLW_TEMPORAL_UNREACHABLE', 'does not answer as expected'],
    [7, 'BLW_CONFIG', 'refuses this client: why; check API key'],
    [16, 'BLW_CONFIG', 'refuses this client: why; check API key'],
    [3, 'BLW_USAGE', 'Temporal refuses this: why'],
  ])('makes %s of gRPC a %s', (status, code, detail) => {
    const translated = translateClientError(new Error('wrapped', { cause: grpcError(status) }), where);
    expect(translated).toBeInstanceOf(FlowError);
    expect((translated as FlowError).data).toMatchObject({ code, detail: expect.stringContaining(detail) });
  });

  it.each([new Error('a defect'), usageError('for people', { cause: grpcError(14) })])('leaves %s alone', (error) => {
    expect(translateClientError(error, where)).toBe(error);
  });
});

test('a deadline that has passed is told by its length alone', () => {
  const details = 'Deadline exceeded after 5.000s,metadata filters: 0.001s,remote_addr=127.0.0.1:7233';
  const error = translateClientError(Object.assign(new Error('x'), { code: 4, details, metadata: {} }), {
    address: '127.0.0.1:7233',
    namespace: 'default',
  });
  expect((error as FlowError).data.detail).toBe('Temporal at 127.0.0.1:7233 does not answer within 5 s');
});

describe('a connection that is lost', () => {
  const details =
    'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7233. Resolution note: ';
  const lost = translateClientError(Object.assign(new Error('x'), { code: 14, details, metadata: {} }), {
    address: '127.0.0.1:7233',
    namespace: 'default',
  });

  it('is told by its reason alone', () => {
    expect((lost as FlowError).data.detail).toBe(
      'Temporal at 127.0.0.1:7233 does not answer any more: connect ECONNREFUSED 127.0.0.1:7233',
    );
  });

  it('leaves the flow alone that was followed, and says how to see it', () => {
    expect(
      unfollowed(lost, 'order 7', { beamline: 'beamline', connection: ' --address 127.0.0.1:7233' }),
    ).toMatchObject({
      error: lost,
      exitCode: 3,
      help: "The flow order 7 goes on once Temporal and a worker are there: beamline runs show 'order 7' --follow --address 127.0.0.1:7233",
    });
  });

  it.each([new Error('a defect'), flowError('BLW_CONFIG', 'no namespace')])('is not %s', (error) => {
    expect(unfollowed(error, 'order-7', { beamline: 'beamline', connection: '' })).toBe(error);
  });
});

describe('printFlowFailure', () => {
  const linesOfError = (more: JsonObject) => {
    const text = new CollectedText();
    const error = { type: 'https://example.com/no', status: 409, ...more };
    printFlowFailure({ status: 'Failed', error }, createOutput(text, { env: {}, onBroken: () => undefined }));
    return text.lines();
  };
  const linesOf = (compensation: JsonObject) => linesOfError({ compensation });
  const failed = (step: string) => ({ step, error: { type: 't', status: 404, detail: 'gone\u001b', code: 'BLW_X' } });

  it('shows what programs find in its data, as long as that is short', () => {
    expect(linesOfError({ data: { outcome: 'unknown', text: 'a\u001b' } })).toContain(
      '  data:      {"outcome":"unknown","text":"a\\u001b"}',
    );
    expect(linesOfError({ data: 'x'.repeat(299) }).at(-1)).toMatch(/^ {2}data: {6}"x{298}… \(--json has all of it\)$/);
    expect(linesOfError({ data: null }).join()).not.toContain('data');
    const script = { code: 'BLW_SCRIPT_FAILED', data: { stdout: 'said', stderr: '' } };
    expect(linesOfError(script).join()).not.toContain('data:');
  });

  it('tells what was undone, and which steps were not and why', () => {
    expect(linesOf({ completed: 1, failed: [failed('/do/1/b')] }).slice(-2)).toEqual([
      '  undone:    1 step',
      expect.stringMatching(/^ {2}not undone: \/do\/1\/b: gone\S* \[BLW_X\]$/),
    ]);
    expect(linesOf({ completed: 3, failed: [] }).at(-1)).toBe('  undone:    3 steps');
  });

  it('lists at most 20 of them', () => {
    const lines = linesOf({ completed: 0, failed: Array.from({ length: 25 }, (_, at) => failed(`/do/${at}/s`)) });
    expect(lines.filter((line) => line.includes('not undone'))).toHaveLength(20);
    expect(lines.at(-1)).toBe('  … and 5 more; --json has them all');
  });
});

describe('uiLink', () => {
  const flow = { namespace: 'default', workflowId: 'a/b c', runId: 'r1' };

  it.each([
    ['127.0.0.1:7233', 'http://127.0.0.1:8233/namespaces/default/workflows/a%2Fb%20c/r1/history'],
    ['localhost:7233', 'http://127.0.0.1:8233/namespaces/default/workflows/a%2Fb%20c/r1/history'],
    ['ns.acct.tmprl.cloud:7233', 'https://cloud.temporal.io/namespaces/default/workflows/a%2Fb%20c/r1/history'],
    ['127.0.0.1:7300', undefined],
    ['temporal.internal:7233', undefined],
  ])('for %s is %s', (address, link) => {
    expect(uiLink({ ...flow, address })).toBe(link);
  });
});

describe('quote', () => {
  it('keeps a text inside of its quotes', () => {
    expect(quote("a' OR 'b\\")).toBe("'a\\' OR \\'b\\\\'");
  });
});

describe('approvalTable', () => {
  const state: ApprovalState = {
    status: 'pending',
    title: 'Refund\u001b[2J 99 EUR?',
    tenant: 'acme',
    flow: 'shop/refund:1.0.0',
    flowId: 'refund-1',
    stepId: '/do/0/ask',
    requestedBy: 'bob',
    requiredApprovals: 2,
    requestedAt: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T02:00:00.000Z',
    decisions: [{ decision: 'approved', by: 'eve', at: '2026-01-01T00:30:00.000Z' }],
    refused: [],
  };
  const since = new Date('2026-01-01T00:00:00.000Z');
  const now = Date.parse('2026-01-01T01:00:00.000Z');
  const { style } = createOutput(new CollectedText(), { env: {}, onBroken: () => undefined });
  const rows = (...approvals: Parameters<typeof approvalTable>[0]) => approvalTable(approvals, now, style);

  it('shows what waits, how long, until when, and for whom', () => {
    const assignees = { users: ['alice'], groups: ['finance'] };
    const [header, row] = rows({ id: 'refund-1/ask', since, state: { ...state, assignees } });
    expect(header).toMatch(/^ID +TITLE +FLOW +TENANT +APPROVALS +WAITING +EXPIRES +WHO$/);
    expect(row).toMatch(
      /^refund-1\/ask +Refund\uFFFD\[2J 99 EUR\? +shop\/refund:1\.0\.0 +acme +1\/2 +1 h 0 min +in 1 h 0 min +alice, group finance$/,
    );
  });

  it('shows what is known where no worker answers', () => {
    expect(rows({ id: 'refund-1/ask', since })[1]).toMatch(/^refund-1\/ask +\(no worker answers\) +1 h 0 min$/);
    const { flow, tenant } = state;
    expect(rows({ id: 'refund-1/ask', since, flow, tenant })[1]).toMatch(
      /^refund-1\/ask +\(no worker answers\) +shop\/refund:1\.0\.0 +acme +1 h 0 min$/,
    );
  });

  it('names whom it is not for', () => {
    const { expiresAt: _, ...forever } = state;
    expect(rows({ id: 'x', since, state: forever })[1]).toMatch(/never +anyone but bob$/);
  });
});
