import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';

/** The history of a workflow as everybody can read it: all events as JSON, and all that is in base64 in them as text. */
export async function historyText(handle: WorkflowHandle): Promise<string> {
  const json = historyToJSON(await handle.fetchHistory());
  const encoded = [...json.matchAll(/"data":\s*"([\w+/=-]+)"/g)].map(([, data = '']) => data);
  return [json, ...encoded.map((data) => Buffer.from(data, 'base64').toString())].join('\n');
}
