import { ApplicationFailure, proxySinks, type Sinks, sleep } from '@temporalio/workflow';

interface News extends Sinks {
  news: { tell(message: string): void };
}

const { news } = proxySinks<News>();

/** Tells others when it begins and when it ends. */
export async function telling(): Promise<string> {
  news.tell('begun');
  await sleep(1);
  news.tell('ended');
  return 'told';
}

/** Tells others what no message can carry. */
export async function babbling(): Promise<void> {
  news.tell((() => 'code') as unknown as string);
}

/** Tells others, and fails in the same workflow task. */
export async function failing(): Promise<never> {
  news.tell('fails');
  throw ApplicationFailure.nonRetryable('as it has to');
}

/** Leaves a promise rejected. */
export async function careless(): Promise<void> {
  void Promise.reject(new Error('nobody hears of it'));
  await sleep(60_000);
}
