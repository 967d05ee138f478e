import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { LogFields } from '../../src/worker/logger';

const LOOPBACK = '127.0.0.1';
const freePorts: number[] = [];
jest.mock('../../temporal-dev/ports', () => {
  const real = jest.requireActual<typeof import('../../temporal-dev/ports')>('../../temporal-dev/ports');
  return { ...real, freePort: async (ip: string) => freePorts.shift() ?? (await real.freePort(ip)) };
});

let other: Server;
let taken: number;
beforeAll(async () => {
  other = createServer().listen(0, LOOPBACK);
  await once(other, 'listening');
  taken = (other.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => other.close(resolve)));

it("the SDK's metrics are on another port where a program has taken the first one just before", async () => {
  const { installRuntime } = await import('../../src/worker/runtime');
  const lines: [string, LogFields | undefined][] = [];
  freePorts.push(taken, taken);
  const metrics = await installRuntime({ log: (_, ...line) => lines.push(line as never) }, { metrics: true });
  expect(metrics?.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
  expect(metrics?.url).not.toContain(`:${taken}/`);
  expect((await fetch(metrics?.url ?? '')).status).toBe(200);
  expect(lines).toEqual([]);
  const { Runtime } = await import('@temporalio/worker');
  await Runtime.instance().shutdown();
});

it('a worker goes on without them where there is no port to be had, and says so', async () => {
  const { installRuntime } = await import('../../src/worker/runtime');
  const lines: [string, LogFields | undefined][] = [];
  freePorts.push(taken, taken, taken, taken, taken);
  const metrics = await installRuntime({ log: (_, ...line) => lines.push(line as never) }, { metrics: true });
  expect(metrics).toBeUndefined();
  expect(lines).toEqual([
    ["the metrics of Temporal's SDK cannot be had", { error: expect.stringContaining('Address already in use') }],
  ]);
});
