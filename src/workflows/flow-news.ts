import { proxySinks, workflowInfo } from '@temporalio/workflow';
import type { FlowNews, FlowNewsSinks } from '../dsl/flow-news';

const { flowNews } = proxySinks<FlowNewsSinks>();

/** Tells the worker's log what has become of the workflow; not while it is replayed, since it was told then. */
export function tellNews(news: FlowNews): void {
  if (!workflowInfo().unsafe.isReplaying) flowNews.tell(news);
}
