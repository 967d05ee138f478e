import type { BlockExecutor } from '../../src/activities/block';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { httpStream } from '../../src/activities/blocks/http-stream';
import type { JsonObject } from '../../src/dsl/json';
import { type AttackCase, codeOf, described, label, refusedWith } from './attack';
import { CREDENTIAL_HEADERS, LOCATIONS, OTHER_STATUSES, PLAIN_HEADERS, REDIRECT_STATUSES } from './http';
import type { HttpWorld } from './http-world';

type HttpCase = AttackCase<HttpWorld>;

const BLOCKS: readonly (readonly [string, BlockExecutor, JsonObject])[] = [
  ['http', httpRequest, { method: 'get', redirect: true }],
  ['http.stream', httpStream, { to: 'a' }],
];

interface Redirect {
  readonly status: number;
  readonly location: string;
}

/** Calls a server that may be reached and that redirects; what comes of it, and whether the other server was reached. */
async function follow(
  world: HttpWorld,
  [, block, args]: (typeof BLOCKS)[number],
  { status, location }: Redirect,
): Promise<string | undefined> {
  const before = world.inner.connections();
  try {
    const server = await world.servers.http((request, response) => {
      if (request.url !== '/start') return response.end('reached');
      const port = (request.socket.localPort ?? 0).toString();
      const target = location.replaceAll('PORT', String(world.inner.port)).replaceAll('OWN', port);
      return response.writeHead(status, { location: target }).end();
    });
    const outcome = await world.run(
      block,
      { ...args, endpoint: { uri: `${server.origin}/start` } },
      world.client([`127.0.0.1:${server.port}`]),
    );
    const contact = world.findContact(before);
    if (contact !== undefined || !REDIRECT_STATUSES.includes(status)) return contact;
    return refusedWith(outcome, ['BLW_HTTP_HOST_DENIED', 'BLW_HTTP_REDIRECT']);
  } finally {
    await world.tidy();
  }
}

async function followOwn(world: HttpWorld, block: (typeof BLOCKS)[number], redirect: Redirect) {
  try {
    const server = await world.servers.http((request, response) => {
      if (request.url !== '/start') return response.setHeader('content-type', 'text/plain').end('reached');
      return response.writeHead(redirect.status, { location: redirect.location }).end();
    });
    const args = { ...block[2], endpoint: { uri: `${server.origin}/start` } };
    const outcome = await world.run(block[1], args, world.client(['127.0.0.1']), 5_000);
    return codeOf(outcome) === undefined && server.requests.length === 2 ? undefined : described(outcome);
  } finally {
    await world.tidy();
  }
}

/** Redirects to where nobody may go, by every status and block that follows them. */
export const redirectCases: readonly HttpCase[] = BLOCKS.flatMap((block) => [
  ...[...REDIRECT_STATUSES, ...OTHER_STATUSES].flatMap((status) =>
    (REDIRECT_STATUSES.includes(status) ? LOCATIONS : LOCATIONS.slice(0, 2)).map(
      (location): HttpCase => ({
        kind: 'redirects',
        name: `${block[0]}, ${status} to ${label(location)}`,
        attempt: (world) => follow(world, block, { status, location }),
      }),
    ),
  ),
  ...REDIRECT_STATUSES.flatMap((status) =>
    ['/next', 'next', '?a=b', './a/../next'].map(
      (location): HttpCase => ({
        kind: 'redirects',
        name: `${block[0]}, ${status} on the same server to ${location}`,
        isControl: true,
        attempt: (world) => followOwn(world, block, { status, location }),
      }),
    ),
  ),
]);

/** What of the headers arrives where a redirect leads. */
async function carried(world: HttpWorld, name: string, isSameOrigin: boolean): Promise<boolean> {
  try {
    const other = await world.friend();
    const first = await world.servers.http((request, response) => {
      const target = isSameOrigin ? '/next' : `${other.origin}/next`;
      if (request.url === '/next') response.end();
      else response.writeHead(307, { location: target }).end();
    });
    const args = {
      method: 'get',
      redirect: true,
      headers: { [name]: 'v' },
      endpoint: { uri: `${first.origin}/start` },
    };
    const outcome = await world.run(httpRequest, args, world.client(['127.0.0.1']), 5_000);
    if ('error' in outcome) throw outcome.error;
    const seen = isSameOrigin ? first.requests[1] : other.requests[0];
    if (seen === undefined) throw new Error('the redirect was not followed');
    return seen.headers[name.toLowerCase()] === 'v';
  } finally {
    await world.tidy();
  }
}

/** Credentials that a redirect tries to take to another origin. */
export const credentialCases: readonly HttpCase[] = [
  ...CREDENTIAL_HEADERS.map(
    (name): HttpCase => ({
      kind: 'credentials across origins',
      name,
      attempt: async (world) => ((await carried(world, name, false)) ? 'it went along to another origin' : undefined),
    }),
  ),
  ...PLAIN_HEADERS.map(
    (name): HttpCase => ({
      kind: 'credentials across origins',
      name: `plain: ${name}`,
      isControl: true,
      attempt: async (world) => ((await carried(world, name, false)) ? undefined : 'it was dropped'),
    }),
  ),
  ...CREDENTIAL_HEADERS.slice(0, 6).map(
    (name): HttpCase => ({
      kind: 'credentials across origins',
      name: `${name}, on the same origin`,
      isControl: true,
      attempt: async (world) => ((await carried(world, name, true)) ? undefined : 'it was dropped'),
    }),
  ),
];
