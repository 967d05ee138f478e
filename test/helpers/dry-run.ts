import { randomUUID } from 'node:crypto';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { TestWorker } from './test-worker';

/** Tries a flow in a worker's sandbox, for the tenant acme where `start` names no other, and gives its report. */
export async function dryRunOn(
  { client, queuePrefix }: Pick<TestWorker, 'client' | 'queuePrefix'>,
  flow: JsonObject,
  start: JsonObject = {},
): Promise<DryRunReport> {
  const result: unknown = await client.workflow.execute(RUN_FLOW, {
    workflowId: `dry-${randomUUID()}`,
    taskQueue: `${queuePrefix}-sandbox`,
    args: [{ flow, tenant: 'acme', mode: 'dry-run', ...start }],
  });
  return result as DryRunReport;
}
