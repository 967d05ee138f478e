import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HttpClient } from '../../src/activities/ports/http-client';
import type { Json } from '../../src/dsl/json';
import { answerHttpbin } from './httpbin';
import { answerPetstore } from './petstore';

/** One request as a stub sees it. */
export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** What a stub answers; without `json` an empty body. */
export interface StubAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: Json;
}

/** The hosts that the kit calls. A scenario must not hang on the internet, nor pass or fail by it. */
const STUBS: Readonly<Record<string, (request: StubRequest) => StubAnswer>> = {
  'petstore.swagger.io': answerPetstore,
  'httpbin.org': answerHttpbin,
};

/** Stubs that run. */
export interface StubHosts {
  /** `127.0.0.1:PORT` of each, to be allowed. */
  readonly addresses: readonly string[];
  /** The client, with the requests for the stubbed hosts going to their stubs; all others are as they were. */
  wrap(client: HttpClient): HttpClient;
  close(): Promise<void>;
}

/** Starts a server on a free port of loopback for each stubbed host. */
export async function startStubHosts(): Promise<StubHosts> {
  const servers = new Map<string, Server>();
  for (const [host, answer] of Object.entries(STUBS)) servers.set(host, await startStub(answer));
  const origins = new Map([...servers].map(([host, server]) => [host, `http://${addressOf(server)}`]));
  return {
    addresses: [...servers.values()].map(addressOf),
    wrap: (client) => sendToStubs(client, origins),
    close: async () => {
      await Promise.all([...servers.values()].map(closeServer));
    },
  };
}

/** Whoever calls sees the original URL: in the answer, and so in outputs and messages. */
function sendToStubs(client: HttpClient, origins: ReadonlyMap<string, string>): HttpClient {
  return {
    close: () => client.close(),
    send: async (request) => {
      const origin = origins.get(request.url.host);
      if (origin === undefined) return client.send(request);
      const response = await client.send({ ...request, url: movedTo(origin, request.url) });
      return { ...response, url: movedTo(request.url.origin, response.url) };
    },
  };
}

/** The same path and query elsewhere. */
function movedTo(origin: string, { pathname, search }: URL): URL {
  const url = new URL(origin);
  url.pathname = pathname;
  url.search = search;
  return url;
}

async function startStub(answer: (request: StubRequest) => StubAnswer): Promise<Server> {
  const server = createServer((request, response) => {
    const { method = '', url = '/', headers } = request;
    const { pathname: path, searchParams: query } = new URL(`http://stub${url}`);
    request.resume();
    const { status, headers: extra = {}, json } = answer({ method, path, query, headers });
    const type = json === undefined ? {} : { 'content-type': 'application/json' };
    response.writeHead(status, { ...type, ...extra }).end(json === undefined ? undefined : JSON.stringify(json));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function addressOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
