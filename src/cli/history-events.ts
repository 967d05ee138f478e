import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';

/** An event of a workflow's history, as the server tells it. */
export type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

/** One run of a workflow. */
export interface RunAddress {
  readonly workflowId: string;
  readonly runId: string;
}

/** All events of a run that there are now. */
export async function readEvents(client: Client, execution: RunAddress): Promise<readonly HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution,
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
    events.push(...(page.history?.events ?? []));
    nextPageToken = page.nextPageToken ?? undefined;
  } while (nextPageToken !== undefined && nextPageToken.length > 0);
  return events;
}

/**
 * What a payload of a workflow's history holds. Throws what the codecs throw: BLW_PAYLOAD_ errors where a key, or the blob root with
 * a large payload, is missing.
 */
export async function decodePayload(
  client: Client,
  workflowId: string,
  payload: Payload | null | undefined,
): Promise<unknown> {
  if (payload == null) return undefined;
  const { payloadCodecs, payloadConverter } = client.options.loadedDataConverter;
  const context = { type: 'workflow' as const, namespace: client.options.namespace, workflowId };
  let payloads = [payload];
  for (const codec of [...payloadCodecs].reverse()) payloads = await codec.decode(payloads, context);
  const [decoded = payload] = payloads;
  return payloadConverter.fromPayload<unknown>(decoded);
}
