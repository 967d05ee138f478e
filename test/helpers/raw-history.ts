import { type Client, Connection } from '@temporalio/client';
import { testTemporal } from './temporal';

/** Everything that Temporal has of a workflow, payloads in words: with what it encodes in base64 decoded. */
export async function rawText(client: Client, workflowId: string, runId?: string): Promise<string> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  return readable(events);
}

/** A message of Temporal's as text, payloads decoded. */
export function readable(message: unknown): string {
  const payloads: string[] = [];
  const text = JSON.stringify(message, (key, value: unknown) => {
    if (key !== 'data' && key !== 'encoding') return value;
    if (typeof value === 'string') payloads.push(Buffer.from(value, 'base64').toString());
    else if (value instanceof Uint8Array) payloads.push(Buffer.from(value).toString());
    // As a Buffer writes itself.
    else if (isBytes(value)) payloads.push(Buffer.from(value.data).toString());
    return value;
  });
  return [text, ...payloads].join('\n');
}

function isBytes(value: unknown): value is { data: number[] } {
  return typeof value === 'object' && value !== null && Array.isArray((value as { data?: unknown }).data);
}

/** A workflow and all that it started, by workflow id. */
export async function familyOf(client: Client, workflowId: string): Promise<string[]> {
  const ids = [workflowId];
  const query = `WorkflowId STARTS_WITH '${workflowId}/'`;
  for await (const info of client.workflow.list({ query })) ids.push(info.workflowId);
  return [...new Set(ids)];
}

/** A query's answer as it travels, without any codec. */
export async function rawQuery(workflowId: string, queryType: string): Promise<string> {
  const { address, namespace } = testTemporal();
  const connection = await Connection.connect({ address });
  try {
    const answer = await connection.workflowService.queryWorkflow({
      namespace,
      execution: { workflowId },
      query: { queryType },
    });
    return readable(answer.queryResult);
  } finally {
    await connection.close();
  }
}
