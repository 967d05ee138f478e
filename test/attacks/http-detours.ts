import type { IncomingMessage, ServerResponse } from 'node:http';
import type { buildConnector } from 'undici';
import type { BlockExecutor } from '../../src/activities/block';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { httpStream } from '../../src/activities/blocks/http-stream';
import { openapi } from '../../src/activities/blocks/openapi';
import { parseAllowedHosts } from '../../src/activities/ports/address-policy';
import { createGuardedConnector } from '../../src/activities/ports/guarded-connector';
import { createHttpClients } from '../../src/activities/ports/http-clients';
import type { JsonObject } from '../../src/dsl/json';
import { type AttackCase, described, refusedWith } from './attack';
import type { HttpWorld } from './http-world';

type HttpCase = AttackCase<HttpWorld>;

/** Where the calls of a block beside its own endpoint lead: `inner` nobody may reach, `own` is the server that may be. */
interface Places {
  readonly inner: string;
  readonly own: string;
}

/** A call that reaches a server by the way of another one. */
interface Detour {
  readonly what: string;
  readonly block: BlockExecutor;
  readonly args: (places: Places) => JsonObject;
  /** Answers of the server that may be reached. */
  readonly answer?: (places: Places, request: IncomingMessage, response: ServerResponse) => void;
}

const json = (response: ServerResponse, value: unknown) =>
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value));

const oauth2 = { grant: 'client_credentials', client: { id: 'a', secret: 'b' } };
const withToken = (own: string, authentication: JsonObject): JsonObject => ({
  method: 'get',
  endpoint: { uri: `${own}/resource`, authentication },
});
const document = (servers: unknown): JsonObject => ({
  openapi: '3.0.3',
  info: { title: 'a', version: '1' },
  ...(servers === undefined ? {} : { servers: servers as never }),
  paths: { '/x': { get: { operationId: 'read', responses: { 200: { description: 'ok' } } } } },
});
const openApiCall = (uri: string): JsonObject => ({ document: { endpoint: { uri } }, operationId: 'read' });

const DETOURS: readonly Detour[] = [
  { what: 'http.stream', block: httpStream, args: ({ inner }) => ({ endpoint: { uri: inner }, to: 'a' }) },
  {
    what: "oauth2's authority",
    block: httpRequest,
    args: ({ inner, own }) => withToken(own, { oauth2: { ...oauth2, authority: inner } }),
  },
  {
    what: "oauth2's token endpoint",
    block: httpRequest,
    args: ({ inner, own }) =>
      withToken(own, { oauth2: { ...oauth2, authority: own, endpoints: { token: `${inner}/t` } } }),
  },
  {
    what: 'a redirect of the token endpoint',
    block: httpRequest,
    args: ({ own }) => withToken(own, { oauth2: { ...oauth2, authority: own } }),
    answer: ({ inner }, _request, response) => response.writeHead(307, { location: `${inner}/t` }).end(),
  },
  {
    what: "oidc's authority",
    block: httpRequest,
    args: ({ inner, own }) => withToken(own, { oidc: { ...oauth2, authority: inner } }),
  },
  {
    what: 'the token endpoint of a discovery document',
    block: httpRequest,
    args: ({ own }) => withToken(own, { oidc: { ...oauth2, authority: own } }),
    answer: ({ inner, own }, _request, response) => json(response, { issuer: own, token_endpoint: `${inner}/t` }),
  },
  {
    what: 'a redirect of the discovery document',
    block: httpRequest,
    args: ({ own }) => withToken(own, { oidc: { ...oauth2, authority: own } }),
    answer: ({ inner }, _request, response) => response.writeHead(302, { location: `${inner}/d` }).end(),
  },
  {
    what: 'a redirect after a digest challenge',
    block: httpRequest,
    args: ({ own }) => ({ ...withToken(own, { digest: { username: 'a', password: 'b' } }), redirect: true }),
    answer: ({ inner }, request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Digest realm="a", nonce="b", qop="auth"' }).end();
      } else response.writeHead(307, { location: inner }).end();
    },
  },
  { what: 'an OpenAPI document', block: openapi, args: ({ inner }) => openApiCall(`${inner}/openapi.json`) },
  {
    what: 'a redirect of an OpenAPI document',
    block: openapi,
    args: ({ own }) => openApiCall(`${own}/openapi.json`),
    answer: ({ inner }, _request, response) => response.writeHead(302, { location: `${inner}/openapi.json` }).end(),
  },
  ...[
    ['a server', ({ inner }: Places) => [{ url: inner }]],
    ['a server without a scheme', ({ inner }: Places) => [{ url: inner.replace('http:', '') }]],
    [
      'a server with a variable',
      ({ inner }: Places) => [{ url: inner.replace('localhost', '{h}'), variables: { h: { default: 'localhost' } } }],
    ],
    ['a server of files', () => [{ url: 'file:///etc' }]],
    ['a server with credentials', ({ inner }: Places) => [{ url: inner.replace('http://', 'http://user:b@') }]],
  ].map(
    ([what, servers]): Detour => ({
      what: `${String(what)} of an OpenAPI document`,
      block: openapi,
      args: ({ own }) => openApiCall(`${own}/openapi.json`),
      answer: (places, _request, response) =>
        json(response, document((servers as (places: Places) => unknown)(places))),
    }),
  ),
  {
    what: 'the host of a Swagger document',
    block: openapi,
    args: ({ own }) => openApiCall(`${own}/openapi.json`),
    answer: ({ inner }, _request, response) => {
      const { paths, info } = document([]);
      json(response, { swagger: '2.0', info, paths, host: inner.replace('http://', ''), schemes: ['http'] });
    },
  },
  {
    what: 'an operation that redirects',
    block: openapi,
    args: ({ own }) => ({ ...openApiCall(`${own}/openapi.json`), redirect: true }),
    answer: ({ own, inner }, request, response) => {
      if (request.url === '/openapi.json') json(response, document([{ url: own }]));
      else response.writeHead(302, { location: inner }).end();
    },
  },
];

const CODES = ['BLW_HTTP_HOST_DENIED', 'BLW_HTTP_URL', 'BLW_AUTH_FAILED', 'BLW_OPENAPI_DOCUMENT', 'BLW_HTTP_REDIRECT'];

async function detour(world: HttpWorld, { block, args, answer }: Detour): Promise<string | undefined> {
  const before = world.inner.connections();
  try {
    const inner = `http://localhost:${world.inner.port}`;
    const server = await world.servers.http((request, response) => {
      if (answer === undefined) response.end('{}');
      else answer({ inner, own: server.origin }, request, response);
    });
    const client = world.client([`127.0.0.1:${server.port}`]);
    const outcome = await world.run(block, args({ inner, own: server.origin }), client);
    return world.findContact(before) ?? refusedWith(outcome, CODES);
  } finally {
    await world.tidy();
  }
}

/** A connection that one set of hosts keeps alive is of no use to another. */
async function reuse(world: HttpWorld): Promise<string | undefined> {
  const clients = createHttpClients({ allowHosts: [] });
  try {
    const friend = await world.friend();
    const args = { method: 'get', endpoint: { uri: friend.origin } };
    const first = await world.run(httpRequest, args, clients.reaching(['127.0.0.1']), 5_000);
    if ('error' in first) return described(first);
    const second = await world.run(httpRequest, args, clients.reaching([]));
    if (friend.requests.length !== 1) return 'the request of the other went out';
    return refusedWith(second, ['BLW_HTTP_HOST_DENIED']);
  } finally {
    await clients.close();
    await world.tidy();
  }
}

/** A name that gives another address with each look-up; the first one is one where nobody listens. */
async function rebind(world: HttpWorld, answers: readonly string[]): Promise<string | undefined> {
  const before = world.inner.connections();
  let asked = 0;
  const connector = createGuardedConnector({
    allowed: parseAllowedHosts([]),
    isPublic: (address) => address !== '127.0.0.1' && address !== '::1',
    resolve: async () => {
      const address = answers[asked % answers.length] ?? '';
      asked += 1;
      return [{ address, family: address.includes(':') ? 6 : 4 }];
    },
  });
  const target = {
    hostname: 'rebind.example',
    host: 'rebind.example',
    protocol: 'http:',
    port: String(world.inner.port),
  };
  for (let round = 1; round <= 4; round++) {
    const [error, socket] = await new Promise<Parameters<buildConnector.Callback>>((resolve) => {
      connector(target, (...result) => resolve(result));
    });
    socket?.destroy();
    if (error === null) return 'a connection was made';
    if (asked !== round) return `the name was looked up ${asked} times for ${round} connections`;
  }
  return world.findContact(before);
}

/** The ways by which a call may lead elsewhere than its endpoint says. */
export const detourCases: readonly HttpCase[] = [
  ...DETOURS.map((one): HttpCase => ({ kind: 'detours', name: one.what, attempt: (world) => detour(world, one) })),
  { kind: 'detours', name: "another tenant's kept connection", attempt: reuse },
  ...[
    ['127.0.0.9', '127.0.0.1'],
    ['127.0.0.9', '::1'],
    ['127.0.0.1', '127.0.0.9'],
    ['127.0.0.9', '127.0.0.9', '127.0.0.1'],
  ].map(
    (answers): HttpCase => ({
      kind: 'detours',
      name: `a name at ${answers.join(', then ')}`,
      attempt: (world) => rebind(world, answers),
    }),
  ),
  ...(['oauth2', 'oidc'] as const).map(
    (scheme): HttpCase => ({
      kind: 'detours',
      name: `fine: a token by ${scheme}`,
      isControl: true,
      attempt: async (world) => {
        try {
          const server = await world.servers.http((request, response) => {
            if (request.url === '/resource') response.end(JSON.stringify('ok'));
            else if (request.method === 'GET')
              json(response, { issuer: server.origin, token_endpoint: `${server.origin}/t` });
            else json(response, { access_token: 'token', token_type: 'Bearer' });
          });
          const args = withToken(server.origin, { [scheme]: { ...oauth2, authority: server.origin } });
          const outcome = await world.run(httpRequest, args, world.client(['127.0.0.1']), 5_000);
          return server.requests.at(-1)?.headers.authorization === 'Bearer token' ? undefined : described(outcome);
        } finally {
          await world.tidy();
        }
      },
    }),
  ),
  {
    kind: 'detours',
    name: 'fine: an OpenAPI document and its server',
    isControl: true,
    attempt: async (world) => {
      try {
        const server = await world.servers.http((request, response) => {
          json(response, request.url === '/openapi.json' ? document([{ url: server.origin }]) : 'ok');
        });
        const args = openApiCall(`${server.origin}/openapi.json`);
        const outcome = await world.run(openapi, args, world.client(['127.0.0.1']), 5_000);
        return 'value' in outcome && outcome.value === 'ok' ? undefined : described(outcome);
      } finally {
        await world.tidy();
      }
    },
  },
];
