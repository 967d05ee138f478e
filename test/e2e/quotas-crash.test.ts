import type { JsonObject } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import type { Gate } from '../helpers/gate';
import { inEachStore } from '../helpers/store-installation';
import { progressWhen } from '../helpers/test-worker';
import { kill } from '../helpers/worker-process';

const acmeWith = (concurrentSteps: number): JsonObject => ({
  acme: {
    scopes: ['flow:start', 'block:*', 'resources:*', 'http:*:*'],
    privateHosts: ['127.0.0.1'],
    quotas: { concurrentSteps },
  },
});
const call = ({ url }: Gate) =>
  `{s: {call: http, metadata: {heartbeat: PT2S}, with: {method: get, endpoint: '${url}'}}}`;
const isWaiting = ({ steps }: FlowProgress) => steps.at(-1)?.status === 'awaitingQuota';

test('leases of a worker that was killed expire, and the line goes on in its order', async () => {
  await inEachStore(acmeWith(2), async ({ gate, start, startWorker }) => {
    const first = await startWorker();
    const lost = [await start('acme', call(gate)), await start('acme', call(gate))];
    await gate.holds(2);
    await startWorker();
    const next = await start('acme', call(gate));
    await progressWhen(next, isWaiting);
    await kill(first);
    await gate.holds(0);
    // Their second attempts come while the leases of the first still stand.
    for (const handle of lost) await progressWhen(handle, isWaiting, 30_000);
    await gate.holds(2, 45_000);
    expect((await next.query<FlowProgress>('progress')).steps[0]?.status).toBe('running');
    for (let left = 3; left > 0; left -= Math.min(2, left)) {
      await gate.holds(Math.min(2, left));
      gate.let();
    }
    for (const handle of [...lost, next]) await handle.result();
    expect(gate.most).toBe(2);
    for (const handle of lost) {
      expect((await handle.query<FlowProgress>('progress')).steps).toMatchObject([{ attempts: 2 }]);
    }
  });
}, 120_000);

test('never more steps than allowed at once, over two processes', async () => {
  await inEachStore(acmeWith(5), async ({ servers, start, startWorker }) => {
    await Promise.all([startWorker(), startWorker()]);
    const held: (() => void)[] = [];
    let now = 0;
    let most = 0;
    const server = await servers.http((_, response) => {
      now += 1;
      most = Math.max(most, now);
      held.push(() => {
        now -= 1;
        response.end('{}');
      });
      // The first five are held until all of them are there; one more than that would show as well.
      if (most >= 5) setTimeout(() => held.splice(0).map((answer) => answer()), 80);
    });
    const steps = (count: number) =>
      Array.from(
        { length: count },
        (_, index) => `{s${index}: {call: http, with: {method: get, endpoint: '${server.origin}/'}}}`,
      );
    const flows = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? steps(6).join(', ') : `{f: {fork: {branches: [${steps(8).join(', ')}]}}}`,
    );
    const handles = await Promise.all(flows.map((flow) => start('acme', flow)));
    await Promise.all(handles.map((handle) => handle.result()));
    expect(server.requests).toHaveLength(6 * 6 + 6 * 8);
    expect(most).toBe(5);
    for (const handle of handles) {
      const { events } = await handle.fetchHistory();
      const attempts = (events ?? []).flatMap(({ activityTaskStartedEventAttributes: began }) => began?.attempt ?? []);
      expect(new Set(attempts)).toEqual(new Set([1]));
    }
  });
}, 90_000);
