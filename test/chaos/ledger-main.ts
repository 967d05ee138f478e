/**
 * The process that effects of HTTP steps are made in: it writes a line for each to a file, synced, before it answers.
 *
 * | request | effect |
 * | --- | --- |
 * | `POST /effect` | one line per request: nothing protects it from being made twice |
 * | `POST /once` | one line per idempotency key, as services have it that know the header |
 * | `PUT /effect/NAME` | one line per name |
 * | `PUT /gate/NAME` | 409, and none, until the driver has opened the gate; then one line per name |
 * | `GET /data/N/TEXT` | none; N bytes, the text again and again, with ranges |
 * | `GET /openapi.json` | none; describes `PUT /effect/NAME` |
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { EffectLine, Moment, Order, Report, Weather } from './effects';

const SLOW_MS = 2_000;

const file = process.argv[2] ?? '';
const log = openSync(file, 'a');
const known = new Set(
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as EffectLine).key),
);

const open = new Set<string>();
let weather: Weather = 'fair';
let trap: Extract<Order, { kind: 'trap' }> | undefined;
let release: (() => void) | undefined;
/** In the present weather. */
let requests = 0;

process.on('message', (order: Order) => {
  if (order.kind === 'weather') changeWeather(order.weather);
  else if (order.kind === 'trap') trap = order;
  else if (order.kind === 'open') open.add(order.name);
  else {
    trap = undefined;
    release?.();
    release = undefined;
  }
});
// The driver is gone: nobody reads what happens here.
process.on('disconnect', () => {
  closeSync(log);
  process.exit(0);
});

const server = createServer((request, response) => {
  serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
});
server.keepAliveTimeout = 30_000;
server.listen(0, '127.0.0.1', () => report({ kind: 'listening', port: (server.address() as AddressInfo).port }));

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const _ of request);
  const { method = '', url = '' } = request;
  requests += 1;
  if (weather === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
  if (weather === 'unavailable') {
    response.writeHead(503).end();
    return;
  }
  if (url === '/openapi.json') {
    const parameters = [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }];
    const put = { operationId: 'putEffect', parameters, responses: { '200': { description: 'done' } } };
    const paths = { '/effect/{name}': { put } };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ openapi: '3.0.0', info: { title: 'effects', version: '1' }, paths }));
    return;
  }
  if (method === 'GET') {
    const [, size = '0', fill = 'beamline'] = /^\/data\/(\d+)\/?(.*)$/.exec(url) ?? [];
    sendData(request, response, Buffer.alloc(Number(size), fill));
    return;
  }
  const gate = /^\/gate\/(.+)$/.exec(url)?.[1];
  if (gate !== undefined && !open.has(gate)) {
    response.writeHead(409).end();
    return;
  }
  await makeEffect(request, response);
}

function changeWeather(next: Weather): void {
  report({ kind: 'changed', requests });
  weather = next;
  requests = 0;
}

async function makeEffect(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const isPut = request.method === 'PUT';
  const key = isPut ? `PUT ${request.url}` : String(request.headers['idempotency-key']);
  const isOnce = isPut || request.url === '/once';
  await standIn('before', request, key);
  // A client that is gone by now has not been served: as where the request never arrived.
  if (request.socket.destroyed) return;
  const what = isOnce && known.has(key) ? 'repeated' : 'applied';
  known.add(key);
  writeSync(log, `${JSON.stringify({ key, what, at: Date.now() } satisfies EffectLine)}\n`);
  fsyncSync(log);
  await standIn('during', request, key);
  answer(response, JSON.stringify({ key, what }));
  await standIn('after', request, key);
}

function answer(response: ServerResponse, body: string): void {
  if (weather === 'broken') {
    response.writeHead(500).end();
    return;
  }
  if (weather === 'reset' || weather === 'truncate') {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.write(body.slice(0, body.length / 2), () => {
      if (weather === 'reset') response.socket?.resetAndDestroy();
      else response.socket?.end();
    });
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
}

function sendData(request: IncomingMessage, response: ServerResponse, data: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const size = data.length;
  const body = data.subarray(from);
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', etag: `"${request.url}"` };
  if (from > 0) response.writeHead(206, { ...headers, 'content-range': `bytes ${from}-${size - 1}/${size}` });
  else response.writeHead(200, { ...headers, 'content-length': size });
  if (weather === 'reset' || weather === 'truncate') {
    response.write(body.subarray(0, body.length / 2), () => response.socket?.resetAndDestroy());
    return;
  }
  response.end(body);
}

/** Has a request wait for the driver, if that asked for the next one at this moment. */
async function standIn(moment: Moment, request: IncomingMessage, key: string): Promise<void> {
  if (trap?.moment !== moment || (trap.isForUnsafe && !isUnsafe(request))) return;
  trap = undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  report({ kind: 'trapped', moment, remotePort: request.socket.remotePort ?? 0, key });
  await released;
}

/** Made twice where it is sent twice. */
function isUnsafe({ method, url }: IncomingMessage): boolean {
  return method === 'POST' && url === '/effect';
}

function report(message: Report): void {
  process.send?.(message);
}
