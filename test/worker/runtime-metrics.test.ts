import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { Runtime } from '@temporalio/worker';
import type { LogFields } from '../../src/worker/logger';
import { installRuntime } from '../../src/worker/runtime';

const LOOPBACK = '127.0.0.1';

/** Ports that seem to be free. */
const mockPorts: number[] = [];
jest.mock('../../temporal-dev/ports', () => {
  const real = jest.requireActual<typeof import('../../temporal-dev/ports')>('../../temporal-dev/ports');
  return { ...real, freePort: async (ip: string) => mockPorts.shift() ?? (await real.freePort(ip)) };
});

const lines: [string, LogFields?][] = [];
const logger = { log: (_: string, ...line: [string, LogFields?]) => lines.push(line) };
let other: Server;
let taken: number;

beforeAll(async () => {
  other = createServer().listen(0, LOOPBACK);
  await once(other, 'listening');
  taken = (other.address() as AddressInfo).port;
});
afterEach(() => Runtime.instance().shutdown());
afterAll(() => new Promise((resolve) => other.close(resolve)));

it("the SDK's metrics are on another port where a program has taken the first one just before", async () => {
  mockPorts.push(taken, taken);
  const metrics = await installRuntime(logger, { metrics: true });
  expect(metrics?.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  expect(metrics?.url).not.toContain(`:${taken}/`);
  const answer = await fetch(metrics?.url ?? '');
  await answer.text();
  expect([answer.status, lines]).toEqual([200, []]);
});

it('a worker goes on without them where there is no port to be had, and says so', async () => {
  mockPorts.push(taken, taken, taken, taken, taken);
  expect(await installRuntime(logger, { metrics: true })).toBeUndefined();
  const error: unknown = expect.stringContaining('Address already in use');
  expect(lines).toEqual([["the metrics of Temporal's SDK cannot be had", { error }]]);
});
