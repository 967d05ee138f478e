import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { Worker } from '@temporalio/worker';
import type { JsonObject } from '../../src/dsl/json';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';

/**
 * A worker was killed in the middle of a POST, and the dead letter was resolved by its `failedAt`. The local activity that counted the failure
 * ended in the workflow task 43, but the flow heard of it in the task 47, a second later; replayed, it hears of it at once.
 */
const HISTORY = require(join(__dirname, 'moved-clock.json')) as { events: JsonObject[] };

async function replay(history: unknown): Promise<void> {
  await Worker.runReplayHistory(
    { workflowBundle: { codePath: WORKFLOW_BUNDLE } },
    historyFromJSON(history),
    'chaos-22-10',
  );
}

test('a dead letter has the same time when it is replayed, whenever the flow heard of what came between', async () => {
  await replay(HISTORY);
}, 60_000);

test('a history of before has the time that it had', async () => {
  const before = JSON.stringify(HISTORY, (_, value: unknown) => (isPayload(value) ? withoutFlag(value) : value));
  // Which differs where it is replayed: that is what the flag is for.
  await expect(replay(JSON.parse(before))).rejects.toThrow('LocalActivity(10)');
}, 60_000);

function isPayload(value: unknown): value is { data: string } {
  return typeof value === 'object' && value !== null && 'data' in value && typeof value.data === 'string';
}

function withoutFlag<T extends { data: string }>(payload: T): T {
  const text = Buffer.from(payload.data, 'base64').toString();
  return { ...payload, data: Buffer.from(text.replace('"datesFailures":true', '"other":true')).toString('base64') };
}
