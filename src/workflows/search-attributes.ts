import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributeUpdatePair } from '@temporalio/common';
import { upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { dryRunStatus, type FlowStatus, isSandboxQueue, SEARCH_ATTRIBUTES } from '../dsl/names';

const KEYS = {
  tenant: defineSearchAttributeKey(SEARCH_ATTRIBUTES.tenant, SearchAttributeType.KEYWORD),
  flow: defineSearchAttributeKey(SEARCH_ATTRIBUTES.flow, SearchAttributeType.KEYWORD),
  status: defineSearchAttributeKey(SEARCH_ATTRIBUTES.status, SearchAttributeType.KEYWORD),
  block: defineSearchAttributeKey(SEARCH_ATTRIBUTES.block, SearchAttributeType.KEYWORD),
};

/** Makes a workflow findable in Temporal's lists; null takes a value away. One command, and one write of the server's. */
export function publishAttributes(values: {
  tenant?: string;
  flow?: string;
  status?: FlowStatus;
  block?: string | null;
}): void {
  const pairs: SearchAttributeUpdatePair[] = [];
  if (values.tenant !== undefined) pairs.push({ key: KEYS.tenant, value: values.tenant });
  if (values.flow !== undefined) pairs.push({ key: KEYS.flow, value: values.flow });
  if (values.status !== undefined) pairs.push({ key: KEYS.status, value: shownStatus(values.status) });
  if (values.block !== undefined) pairs.push({ key: KEYS.block, value: values.block });
  upsertSearchAttributes(pairs);
}

/** Only dry runs run on the queue of the sandbox. */
function shownStatus(status: FlowStatus): string {
  return isSandboxQueue(workflowInfo().taskQueue) ? dryRunStatus(status) : status;
}
