import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { LoopbackServer, LoopbackServers } from './loopback';

type Answer = (given: Given, response: ServerResponse) => void | Promise<void>;

interface Given {
  /** What was sent as the body. */
  readonly body: string;
  readonly request: IncomingMessage;
  /** How often this path was called with this body. */
  readonly count: number;
}

/** For headers, which are not for long values: all of it or nothing, since a part of a value is no value any more. */
function shortly(body: string, maxLength = 4_000): string {
  const encoded = encodeURIComponent(body);
  return encoded.length > maxLength ? '' : encoded;
}

const JSON_TYPE = { 'content-type': 'application/json' };

/** Routes that say back what they are told, each in another way. */
const ROUTES: Readonly<Record<string, Answer>> = {
  json: ({ body, request }, response) => {
    response.writeHead(200, { ...JSON_TYPE, 'x-echo': shortly(body) });
    response.end(
      JSON.stringify({ url: request.url, headers: request.headers, body, nested: JSON.stringify({ body }) }),
    );
  },
  encodings: ({ body }, response) => {
    const bytes = Buffer.from(body);
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(
      [
        body,
        encodeURIComponent(body),
        encodeURIComponent(body).replace(/%../g, (code) => code.toLowerCase()),
        new URLSearchParams({ a: body }).toString(),
        bytes.toString('hex'),
        `\\x${bytes.toString('hex').toUpperCase()}`,
        ...['', '1', '12'].map((before) => Buffer.from(`${before}${body}after`).toString('base64')),
        ...['', '1', '12'].map((before) => Buffer.from(`${before}${body}after`).toString('base64url')),
        JSON.stringify(JSON.stringify({ body })),
        `<p title="${body.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')}">`,
      ].join('\n'),
    );
  },
  binary: ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.end(`x${body}yz`);
  },
  /** In pieces of 7 bytes, around the sizes of the buffers on the way. */
  pieces: async ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.write('x'.repeat(65_530));
    const bytes = Buffer.from(body);
    for (let start = 0; start < bytes.length; start += 7) {
      response.write(bytes.subarray(start, start + 7));
      if (start % 700 === 0) await delay(1);
    }
    response.end('x'.repeat(70_000));
  },
  refuse: ({ body, request }, response) => {
    response.writeHead(422, JSON_TYPE);
    response.end(JSON.stringify({ url: request.url, headers: request.headers, body }));
  },
  /** An error of which only the beginning is quoted, and that ends within what was sent. */
  cut: ({ body }, response) => {
    response.writeHead(400, { 'content-type': 'text/plain' });
    const room = 4_096 - Math.max(8, Math.floor(Buffer.byteLength(body) / 2));
    response.end(`${'y'.repeat(Math.max(0, room))}${body}${'z'.repeat(5_000)}`);
  },
  'cut-base64': ({ body }, response) => {
    response.writeHead(400, { 'content-type': 'text/plain' });
    const encoded = Buffer.from(`ab${body}`).toString('base64');
    response.end(`${'y'.repeat(Math.max(0, 4_096 - Math.floor(encoded.length / 2)))}${encoded}${'z'.repeat(5_000)}`);
  },
  later: ({ body, count }, response) => {
    response.writeHead(count % 2 === 1 ? 503 : 200, {
      ...JSON_TYPE,
      'x-echo': shortly(body),
    });
    response.end(JSON.stringify({ body }));
  },
  never: ({ body }, response) => {
    response.writeHead(500, { 'content-type': 'text/html' });
    response.end(`<h1>${body}</h1>`);
  },
  broken: ({ body }, response) => {
    response.writeHead(200, JSON_TYPE);
    response.end(`{"a": ${body}`);
  },
  away: ({ body }, response) => {
    response.writeHead(302, {
      location: `http://10.1.2.3/${shortly(body)}?k=${shortly(body)}`,
    });
    response.end(body);
  },
  around: ({ body, request }, response) => {
    response.writeHead(302, { location: `${request.url}&k=${shortly(body, 1_000)}` });
    response.end(body);
  },
  trailer: ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-trailing' });
    response.write(body);
    response.addTrailers({ 'x-trailing': shortly(body) });
    response.end();
  },
  reset: (_, response) => {
    response.socket?.destroy();
  },
  short: ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-length': String(Buffer.byteLength(body) + 100) });
    response.write(body, () => response.socket?.end());
  },
  gzip: ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' });
    response.end(body);
  },
  encoding: ({ body }, response) => {
    response.writeHead(200, {
      'content-type': `text/plain; charset="${shortly(body, 60)}"`,
      'content-encoding': shortly(body, 100),
    });
    response.end(body);
  },
  slow: async ({ body }, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    for (let count = 0; count < 4; count += 1) {
      response.write(body);
      await delay(300);
    }
    response.end();
  },
};

/** Names of the routes: `POST /NAME/…` says back its body and more. */
export const ECHO_ROUTES: readonly string[] = Object.keys(ROUTES);

/** A server whose answers have what they were sent in them. */
export async function startEchoServer(servers: LoopbackServers): Promise<LoopbackServer> {
  const counts = new Map<string, number>();
  const server: LoopbackServer = await servers.http((request, response) => {
    const [, name = ''] = /^\/([\w-]+)/.exec(request.url ?? '') ?? [];
    const { body = '' } = server.requests.at(-1) ?? {};
    const key = `${name} ${body}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    response.on('error', () => undefined);
    void ROUTES[name]?.({ body, request, count: counts.get(key) ?? 1 }, response);
  });
  return server;
}
