import type { WorkflowExecutionInfo } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../dsl/names';

/** What Temporal's list says of a flow; undefined where it says nothing, as of one that no worker has taken up yet. */
export function attributeOf(
  { searchAttributes }: Pick<WorkflowExecutionInfo, 'searchAttributes'>,
  name: keyof typeof SEARCH_ATTRIBUTES,
): string | undefined {
  const [value] = searchAttributes?.[SEARCH_ATTRIBUTES[name]] ?? [];
  return typeof value === 'string' ? value : undefined;
}
