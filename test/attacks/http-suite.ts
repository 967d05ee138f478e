import { hostname } from 'node:os';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { httpStream } from '../../src/activities/blocks/http-stream';
import { isPublicAddress } from '../../src/activities/ports/address-policy';
import { type AttackCase, type AttackSuite, described, label, refusedWith } from './attack';
import * as tables from './http';
import { answerCases } from './http-answers';
import { bombCases } from './http-bombs';
import { detourCases } from './http-detours';
import { credentialCases, redirectCases } from './http-redirects';
import { requestCases } from './http-requests';
import { HttpWorld } from './http-world';

export type HttpCase = AttackCase<HttpWorld>;

const DENIED = ['BLW_HTTP_HOST_DENIED', 'BLW_HTTP_URL'];

/** Blocked: refused, nothing connected, and for a literal address nobody asked. */
async function callRefused(world: HttpWorld, uri: string, codes = DENIED): Promise<string | undefined> {
  const before = world.inner.connections();
  try {
    const client = world.client([]);
    const url = uri.replaceAll('PORT', String(world.inner.port));
    for (const block of [httpRequest, httpStream]) {
      const args = block === httpRequest ? { method: 'get' } : { to: 'a' };
      const problem = refusedWith(await world.run(block, { ...args, endpoint: { uri: url } }, client), codes);
      if (problem !== undefined) return problem;
    }
    return world.findContact(before);
  } finally {
    await world.tidy();
  }
}

async function callSucceeds(world: HttpWorld, host: string, allowed: string): Promise<string | undefined> {
  try {
    const friend = await world.friend();
    const uri = `http://${host}:${friend.port}/`;
    const outcome = await world.run(httpRequest, { method: 'get', endpoint: { uri } }, world.client([allowed]), 5_000);
    return 'value' in outcome && outcome.value === 'welcome' ? undefined : described(outcome);
  } finally {
    await world.tidy();
  }
}

const literal: HttpCase[] = [
  ...tables.DENIED_ADDRESSES.map(([what, address]): HttpCase => {
    const host = address.includes(':') ? `[${address}]` : address;
    return {
      kind: 'private addresses',
      name: `${what}: ${address}`,
      attempt: async (world) => {
        const before = world.lookups;
        const problem = await callRefused(world, `http://${host}:PORT/`, ['BLW_HTTP_HOST_DENIED']);
        return problem ?? (world.lookups === before ? undefined : 'a resolver was asked for an address');
      },
    };
  }),
  ...tables.PUBLIC_ADDRESSES.map(
    (address): HttpCase => ({
      kind: 'private addresses',
      name: `public: ${address}`,
      isControl: true,
      attempt: async () => (isPublicAddress(address) ? undefined : 'it is not taken for public'),
    }),
  ),
];

const named: HttpCase[] = [
  ...tables.DENIED_ADDRESSES.map(([what, address]) => [what, [address]] as const),
  ...tables.RESOLVED,
].map(([what, addresses]) => ({
  kind: 'names that lead to them',
  name: `${what}: ${label(addresses.join(', '))}`,
  attempt: (world) => resolvesTo(world, { addresses, allow: [] }),
}));

const allowedNames: HttpCase[] = tables.NOT_BY_NAME.map(([what, addresses]) => ({
  kind: 'names that lead to them',
  name: `an allowed name at ${what}: ${addresses.join(', ')}`,
  attempt: (world) => resolvesTo(world, { addresses, allow: ['rebind.example'] }),
}));

async function resolvesTo(
  world: HttpWorld,
  { addresses, allow }: { addresses: readonly string[]; allow: readonly string[] },
): Promise<string | undefined> {
  const before = world.inner.connections();
  try {
    const client = world.client(allow, { resolve: world.resolver(addresses) });
    const uri = `http://rebind.example:${world.inner.port}/`;
    const outcome = await world.run(httpRequest, { method: 'get', endpoint: { uri } }, client);
    const codes = addresses.length === 0 ? ['BLW_HTTP_UNREACHABLE'] : ['BLW_HTTP_HOST_DENIED'];
    return refusedWith(outcome, codes) ?? findLeak(outcome, addresses) ?? world.findContact(before);
  } finally {
    await world.tidy();
  }
}

/** What a name resolves to is the operator's business, and not the tenant's. */
function findLeak(outcome: Parameters<typeof described>[0], addresses: readonly string[]): string | undefined {
  const text = described(outcome);
  const told = addresses.find((address) => address.length > 5 && text.includes(address));
  return told === undefined ? undefined : `the message tells the address ${told}`;
}

const spellings: HttpCase[] = tables.SPELLINGS.map((uri) => ({
  kind: 'spellings',
  name: label(uri),
  attempt: (world) => callRefused(world, uri),
}));

const controls: HttpCase[] = [
  ...['127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '127。0。0。1', '[::ffff:127.0.0.1]'].map(
    (host): HttpCase => ({
      kind: 'spellings',
      name: `allowed: ${label(host)}`,
      isControl: true,
      attempt: (world) => callSucceeds(world, host, host.startsWith('[') ? '[::ffff:7f00:1]' : '127.0.0.1'),
    }),
  ),
  ...['allowed.example', 'ALLOWED.example.', 'bücher.example', hostname().replace(/[^a-z0-9-]/gi, '') || 'here'].map(
    (host): HttpCase => ({
      kind: 'names that lead to them',
      name: `an allowed name at loopback: ${host}`,
      isControl: true,
      attempt: (world) => callSucceeds(world, host, host),
    }),
  ),
];

/** Attacks on HTTP: from flows on the network of the worker, and from servers on the worker. */
export const httpSuite: AttackSuite<HttpWorld> = {
  area: 'HTTP',
  cases: [
    ...literal,
    ...named,
    ...allowedNames,
    ...spellings,
    ...controls,
    ...detourCases,
    ...redirectCases,
    ...credentialCases,
    ...requestCases,
    ...answerCases,
    ...bombCases,
  ],
  open: () => HttpWorld.open(),
  close: (world) => world.close(),
};
