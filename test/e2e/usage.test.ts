import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { FlowProgress } from '../../src/dsl/progress';
import type { UsageDay } from '../../src/worker/usage/usage-report';
import { inEachStore } from '../helpers/store-installation';
import { eventually, openApproval } from '../helpers/test-worker';
import { kill } from '../helpers/worker-process';

const BEAMLINE = join(__dirname, '..', '..', 'bin', 'beamline.js');
const SCOPES = [
  'flow:start',
  'block:*',
  'resources:*',
  'http:*:*',
  'blob:read:*',
  'blob:write:*',
  'approval:*',
  'sql:write:*',
];
const COMMON = { scopes: SCOPES, privateHosts: ['127.0.0.1'] };
const TENANTS = { acme: { ...COMMON, quotas: { concurrentSteps: 4 } }, free: COMMON };

function usageIn(storeFlag: string): readonly UsageDay[] {
  const output = execFileSync(process.execPath, [BEAMLINE, 'usage', '--json', '--state-store', storeFlag]);
  return (JSON.parse(output.toString()) as { totals: UsageDay[] }).totals;
}

const http = (url: string, more = '', metadata = '') =>
  `{call: http, ${metadata === '' ? '' : `metadata: {${metadata}}, `}with: {method: get, endpoint: '${url}'${more}}}`;

/** What histories say: activities that completed, without those that only had to wait, and activities that failed for good. */
async function countInHistories(handles: readonly WorkflowHandle[]) {
  const counts = { steps: 0, failures: 0, approvals: 0 };
  for (const handle of handles) {
    const { events } = await handle.fetchHistory();
    for (const event of events ?? []) {
      const result = event.activityTaskCompletedEventAttributes?.result?.payloads?.[0]?.data;
      if (result != null && !('waiting' in JSON.parse(Buffer.from(result).toString()))) counts.steps += 1;
      if (event.activityTaskFailedEventAttributes != null || event.activityTaskTimedOutEventAttributes != null) {
        counts.failures += 1;
      }
      if (event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name === 'approval') {
        counts.approvals += 1;
      }
    }
  }
  return counts;
}

test('adds up to what the histories say, also where a worker is killed in between', async () => {
  await inEachStore(TENANTS, async ({ client, gate, servers, start, startWorker, storeFlag }) => {
    const usage = () => usageIn(storeFlag);
    const requests = new Map<string, number>();
    const server = await servers.http(({ url = '' }, response) => {
      const count = (requests.get(url) ?? 0) + 1;
      requests.set(url, count);
      if (url.startsWith('/flaky') && count < 3) response.statusCode = 503;
      if (url.startsWith('/missing')) response.statusCode = 404;
      if (url.startsWith('/broken')) response.statusCode = 503;
      if (url.startsWith('/slow')) return;
      response.end('{}');
    });
    const at = (path: string) => `${server.origin}/${path}`;
    const quick = 'retry: {maximumAttempts: 3, initialInterval: PT0.05S, backoffCoefficient: 1}';
    const first = await startWorker();
    const mix = (name: string) =>
      [
        `{ok: ${http(at('ok'))}}`,
        `{flaky: ${http(at(`flaky/${name}`), '', quick)}}`,
        `{put: {call: fs.put, with: {path: ${name}, content: '${'x'.repeat(1_000)}'}}}`,
        `{get: {call: fs.get, with: {path: ${name}}}}`,
        `{sql: {call: sql.query, with: {database: test, statement: 'SELECT 1 AS one'}}}`,
        `{caught: {try: [{inner: ${http(at('missing'))}}], catch: {retry: {limit: {attempt: {count: 2}}, delay: PT0.01S}, do: [{s: {set: {a: 1}}}]}}}`,
        `{tried: {try: [{inner: ${http(at('broken'), '', quick)}}], catch: {do: [{s: {set: {a: 1}}}]}}}`,
        `{late: {try: [{inner: {call: http, timeout: {after: PT1S}, metadata: {${quick}}, with: {method: get, endpoint: '${at('slow')}'}}}], catch: {do: [{s: {set: {a: 1}}}]}}}`,
        `{f: {fork: {branches: [${[0, 1, 2, 3, 4, 5].map((index) => `{b${index}: ${http(at('ok'))}}`).join(', ')}]}}}`,
      ].join(', ');
    const handles: WorkflowHandle[] = [];
    for (const tenant of ['acme', 'free']) {
      for (const name of ['a', 'b', 'c']) handles.push(await start(tenant, mix(`${tenant}-${name}`)));
    }
    const approved = await start('free', '{w: {call: human.approval, with: {title: go on}}}');
    const approval = await openApproval(client, approved);
    await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'ann' }] });
    await Promise.all([...handles, approved].map((handle) => handle.result()));

    // A worker that is killed under two calls: one may be made again, the other is lost.
    const lost = [
      await start('acme', `{s: ${http(gate.url, '', 'heartbeat: PT2S')}}`),
      await start(
        'free',
        `{t: {try: [{s: {call: http, metadata: {heartbeat: PT2S}, with: {method: post, endpoint: '${gate.url}'}}}], catch: {do: [{s: {set: {a: 1}}}]}}}`,
      ),
      await start('free', `{s: ${http(gate.url, '', 'heartbeat: PT2S')}}`),
    ];
    await gate.holds(3);
    await kill(first);
    await startWorker();
    // The repeatable ones come again; the tenant with quotas has places left.
    await gate.holds(2, 30_000);
    const cancelled = await start('free', `{s: ${http(gate.url, '', 'heartbeat: PT2S')}}`);
    await gate.holds(3);
    await cancelled.cancel();
    await expect(cancelled.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    await gate.holds(2);
    gate.let();
    await Promise.all(lost.map((handle) => handle.result()));

    const free = [...handles.slice(3), approved, ...lost.slice(1), cancelled];
    const acme = [...handles.slice(0, 3), ...lost.slice(0, 1)];
    const [inAcme, inFree] = [await countInHistories(acme), await countInHistories(free)];
    expect(inFree).toMatchObject({ steps: 34, failures: 16, approvals: 1 });
    expect(await eventually(async () => (usage().length === 2 ? usage() : undefined))).toMatchObject([
      { tenant: 'acme', ...inAcme },
      { tenant: 'free', ...inFree },
    ]);
    const [ofAcme] = usage();
    expect(ofAcme?.bytesOut).toBe(3 * 1_000);
    expect(ofAcme?.cpuMs).toBeGreaterThan(0);
    expect(ofAcme?.peakMemoryBytes).toBeGreaterThan(10_000_000);
    expect((await lost[1]?.query<FlowProgress>('progress'))?.steps.map(({ error }) => error?.code)).toContain(
      'BLW_OUTCOME_UNKNOWN',
    );
  });
}, 120_000);
