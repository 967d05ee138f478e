import type { ServerResponse } from 'node:http';
import { type LoopbackServer, LoopbackServers } from './loopback';

/** A service that does something at each POST, once for each key, and counts what was asked of it and what it did. */
export interface Effects {
  readonly origin: string;
  /** Paths that answer 400 for now, and do nothing. */
  readonly broken: Set<string>;
  /** Paths that answer 503 so many times, and do nothing. */
  readonly unavailable: Map<string, number>;
  /** Paths that answer only once they are let; see {@link Effects.release}. */
  readonly held: Set<string>;
  /** Answers what is held, and holds no more. */
  release(path: string): void;
  /** Requests of a path that were answered 200, repeated ones too. */
  asked(path: string): number;
  /** Keys of a path that something was done for. */
  keys(path: string): string[];
  /** Requests of a path that have come in. */
  seen(path: string): number;
  stop(): Promise<void>;
}

/** Starts it on a free port of 127.0.0.1. */
export async function startEffects(): Promise<Effects> {
  const servers = new LoopbackServers();
  const broken = new Set<string>();
  const held = new Set<string>();
  const unavailable = new Map<string, number>();
  const waiting: { path: string; answer: () => void }[] = [];
  const answered: { path: string; key: string }[] = [];
  const answer = (path: string, key: string, response: ServerResponse) => {
    const left = unavailable.get(path) ?? 0;
    if (left > 0) unavailable.set(path, left - 1);
    const status = left > 0 ? 503 : broken.has(path) ? 400 : 200;
    if (status === 200) answered.push({ path, key });
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ path }));
  };
  const server: LoopbackServer = await servers.http((request, response) => {
    const path = request.url ?? '';
    const key = String(request.headers['idempotency-key'] ?? '');
    if (held.has(path)) waiting.push({ path, answer: () => answer(path, key, response) });
    else answer(path, key, response);
  });
  return {
    origin: server.origin,
    broken,
    held,
    unavailable,
    release: (path) => {
      held.delete(path);
      for (const one of waiting.filter((each) => each.path === path)) one.answer();
    },
    asked: (path) => answered.filter((one) => one.path === path).length,
    keys: (path) => [...new Set(answered.filter((one) => one.path === path).map(({ key }) => key))],
    seen: (path) => server.requests.filter(({ url }) => url === path).length,
    stop: () => servers.close(),
  };
}
