import { httpRequest } from '../../src/activities/blocks/http-request';
import type { JsonObject } from '../../src/dsl/json';
import { type AttackCase, described } from './attack';
import { FINE_REQUESTS, SMUGGLED_REQUESTS } from './http';
import type { HttpWorld } from './http-world';

type HttpCase = AttackCase<HttpWorld>;

/** What a server gets of a call, byte by byte. */
async function send(world: HttpWorld, given: Readonly<Record<string, unknown>>) {
  try {
    let received = '';
    const server = await world.servers.tcp((socket) => {
      socket.on('data', (chunk: Buffer) => {
        received += chunk.toString('latin1');
        if (/\r\n\r\n/.test(received))
          socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok');
      });
    });
    const { path = '/', authentication, ...args } = given as JsonObject;
    const endpoint = {
      uri: `${server.origin}${String(path)}`,
      ...(authentication === undefined ? {} : { authentication }),
    };
    const outcome = await world.run(httpRequest, { method: 'GET', ...args, endpoint }, world.client(['127.0.0.1']));
    return { outcome, received };
  } finally {
    await world.tidy();
  }
}

/** Headers and request lines as a server reads them, whatever the body holds: that has its length. */
function readRequest(received: string): { lines: string[]; rest: string } {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return { lines: received === '' ? [] : received.split('\r\n'), rest: '' };
  const lines = received.slice(0, end).split('\r\n');
  const length = Number(/^content-length: (\d+)$/im.exec(lines.join('\n'))?.[1] ?? 0);
  return { lines, rest: received.slice(end + 4 + length) };
}

/** Parts of requests that try to become another one, and some that do not. */
export const requestCases: readonly HttpCase[] = [
  ...SMUGGLED_REQUESTS.map(
    ([what, args]): HttpCase => ({
      kind: 'smuggled requests',
      name: what,
      attempt: async (world) => {
        const { outcome, received } = await send(world, args);
        const { lines, rest } = readRequest(received);
        if (rest !== '') return `the server got more than one request: ${JSON.stringify(rest)}`;
        const evil = lines.find((line) => /^x-evil|^GET \/evil |[\r\n\0]/i.test(line));
        if (evil !== undefined) return `the server got the line ${JSON.stringify(evil)}`;
        if (lines.length > 0 && 'error' in outcome) return `it was sent, and then: ${described(outcome)}`;
        return undefined;
      },
    }),
  ),
  ...FINE_REQUESTS.map(
    ([what, args]): HttpCase => ({
      kind: 'smuggled requests',
      name: `fine: ${what}`,
      isControl: true,
      attempt: async (world) => {
        const { outcome } = await send(world, args);
        return 'value' in outcome && outcome.value === 'ok' ? undefined : described(outcome);
      },
    }),
  ),
];
