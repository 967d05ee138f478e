import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';

const MAX_BODY_BYTES = 65_536;

/** The shop's order service, as far as the example calls it. */
export interface OrderService {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Orders confirmed so far; a repeated request with the same key counts once. */
  readonly confirmations: readonly JsonObject[];
  close(): Promise<void>;
}

/**
 * Starts the service on a free port of this machine:
 *
 * - `GET /orders/:id` gives an order `{ orderId, customer: { name, tier }, items: [{ sku, quantity, price }], currency }`;
 * - `POST /orders/:id/confirmations` with `{ total, approvedBy }` answers `{ confirmationId }`. A request that repeats an
 *   `Idempotency-Key` gets the answer of the first one.
 */
export async function startOrderService(): Promise<OrderService> {
  const confirmations: JsonObject[] = [];
  const server = createServer((request, response) => {
    answer(request, confirmations).then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) => send(response, 500, { error: messageOf(error) }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, confirmations, close: () => close(server) };
}

interface Answer {
  readonly status: number;
  readonly body: JsonObject;
}

async function answer(request: IncomingMessage, confirmations: JsonObject[]): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const [, orderId, action] = /^\/orders\/(\d{1,10})(\/confirmations)?$/.exec(pathname) ?? [];
  if (orderId === undefined) return { status: 404, body: { error: `there is nothing at ${pathname}` } };
  if (action === undefined) {
    return request.method === 'GET' ? { status: 200, body: orderOf(orderId) } : methodNotAllowed('GET');
  }
  if (request.method !== 'POST') return methodNotAllowed('POST');
  const body = await readJson(request);
  if (!isJsonObject(body) || typeof body.total !== 'number') {
    return { status: 422, body: { error: 'expected {"total": number, "approvedBy": [names]}' } };
  }
  return confirm({ orderId, key: request.headers['idempotency-key'], body, confirmations });
}

function confirm(given: {
  orderId: string;
  key: string | string[] | undefined;
  body: JsonObject;
  confirmations: JsonObject[];
}): Answer {
  const { orderId, key, body, confirmations } = given;
  const earlier = key === undefined ? undefined : confirmations.find((entry) => entry.key === key);
  if (earlier !== undefined) return { status: 200, body: { confirmationId: earlier.confirmationId ?? null } };
  const confirmationId = `C-${orderId}-${confirmations.length + 1}`;
  confirmations.push({ ...body, orderId, confirmationId, ...(typeof key === 'string' ? { key } : {}) });
  return { status: 201, body: { confirmationId } };
}

/** The same order for the same id, whoever asks and whenever. */
function orderOf(orderId: string): JsonObject {
  return {
    orderId,
    customer: { name: 'Ada Lovelace', tier: 'gold' },
    items: [
      { sku: 'lamp-17', quantity: 2, price: 49.9 },
      { sku: 'desk-03', quantity: 1, price: 189 },
      { sku: 'cable-2m', quantity: 3, price: 4.25 },
    ],
    currency: 'EUR',
  };
}

function methodNotAllowed(allowed: string): Answer {
  return { status: 405, body: { error: `expected ${allowed}` } };
}

/** Undefined where the body is not JSON or too large. */
async function readJson(request: IncomingMessage): Promise<Json | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: JsonObject): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
