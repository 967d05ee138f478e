import type { ServerResponse } from 'node:http';
import type { WorkflowHandle } from '@temporalio/client';
import type { DeadLetters, Resolution, ResolveAnswer } from '../../src/dsl/dead-letter';
import type { Json } from '../../src/dsl/json';
import { LoopbackServers, type SeenRequest } from './loopback';
import { eventually } from './test-worker';

/** A loopback service of which some paths fail for good, and some hold their requests until they are let go. */
export class BrokenService {
  readonly #servers = new LoopbackServers();
  readonly #waiting = new Map<string, ServerResponse[]>();
  #requests: readonly SeenRequest[] = [];
  /** Paths that answer 400 for now. */
  readonly broken = new Set<string>();
  /** Paths that do not answer before {@link letGo}. */
  readonly held = new Set<string>();
  origin = '';

  async open(): Promise<this> {
    const { origin, requests } = await this.#servers.http(({ url = '' }, response) => {
      if (!this.held.has(url)) return this.#answer(url, response);
      this.#waiting.set(url, [...(this.#waiting.get(url) ?? []), response]);
    });
    this.origin = origin;
    this.#requests = requests;
    return this;
  }

  at(path: string): SeenRequest[] {
    return this.#requests.filter(({ url }) => url === path);
  }

  letGo(path: string): void {
    this.held.delete(path);
    for (const response of this.#waiting.get(path) ?? []) this.#answer(path, response);
    this.#waiting.delete(path);
  }

  /** A step that posts `n` of its input, and waits as a dead letter where that fails. */
  step(name: string, path: string): string {
    return `{ ${name}: { call: http, metadata: { onFailure: deadLetter }, with: { method: post, endpoint: '${this.origin}${path}', body: { n: '\${ data.n }' } }, output: { as: data.path } } }`;
  }

  async close(): Promise<void> {
    await this.#servers.close();
  }

  #answer(path: string, response: ServerResponse): void {
    response.writeHead(this.broken.has(path) ? 400 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path }));
  }
}

/** The dead letters of a flow, once there are so many. */
export async function lettersOf(handle: WorkflowHandle, count = 1): Promise<DeadLetters['letters']> {
  return await eventually(async () => {
    const { letters } = await handle.query<DeadLetters>('deadLetters');
    return letters.length === count ? letters : undefined;
  });
}

export async function resolveLetter(handle: WorkflowHandle, resolution: Resolution | Json): Promise<ResolveAnswer> {
  return await handle.executeUpdate<ResolveAnswer, [Json]>('resolve', { args: [resolution as Json] });
}

/** `BeamlineStatus` of a flow, as Temporal's lists have it. */
export async function statusOf(handle: WorkflowHandle): Promise<unknown> {
  return (await handle.describe()).searchAttributes?.BeamlineStatus?.[0];
}
