import { setTimeout as delay } from 'node:timers/promises';
import { readWorker } from '../../../src/cli/top/worker-reading';
import { LoopbackServers } from '../../helpers/loopback';

const servers = new LoopbackServers();

afterAll(() => servers.close());

test('takes of a status only so much as a worker may say', async () => {
  const long = 'x '.repeat(300);
  const status = JSON.stringify({
    degraded: Array.from({ length: 2_000 }, () => ({ part: long, since: long, message: long })),
    tenants_over_quota: Array.from({ length: 2_000 }, () => ({ tenant: long, quota: long })),
  });
  const { origin } = await servers.http((request, response) => {
    response.end(request.url === '/status' ? status : 'worker_info 1\n');
  });
  const read = await readWorker({ name: 'w', url: origin, isNamed: true });
  const { degraded = [], overQuota = [] } = 'page' in read ? (read.status ?? {}) : {};
  expect([degraded.length, overQuota.length]).toEqual([1_000, 1_000]);
  const texts = [...degraded, ...overQuota].flatMap((entry) => Object.values(entry));
  expect(new Set(texts.map((text) => text.length))).toEqual(new Set([500]));
});

test('waits for a page as long as a worker takes while Temporal is away', async () => {
  const { origin } = await servers.http(async (request, response) => {
    if (request.url === '/metrics') await delay(2_100);
    response.end(request.url === '/metrics' ? 'worker_info 1\n' : '{}');
  });
  expect(await readWorker({ name: 'w', url: origin, isNamed: true })).toHaveProperty('page');
});
