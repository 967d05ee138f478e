import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { LoopbackServers } from '../helpers/loopback';
import { flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

const servers = new LoopbackServers();
let origin = '';
let worker: TestWorker;
/** How long the answers to a path take, ms. */
const delays = new Map<string, number>();

beforeAll(async () => {
  // Answers with the path that it is asked for.
  ({ origin } = await servers.http(({ url = '' }, response) => {
    setTimeout(() => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(url));
    }, delays.get(url) ?? 0);
  }));
  worker = await startTestWorker({ dispatch: 'auto' });
});
beforeEach(() => delays.clear());
afterAll(async () => {
  await worker.stop();
  await servers.close();
});

/** A step that reads; it names the context, so that it is not read ahead where others run beside it. */
const get = (name: string, metadata = 'dispatch: local') =>
  `{ ${name}: { if: '\${ context == context }', call: http, with: { method: get, endpoint: '${origin}/${name}' }, metadata: { ${metadata} } } }`;
const post = (name: string) => `{ ${name}: { call: http, with: { method: post, endpoint: '${origin}/${name}' } } }`;
/** Takes more promises than the step alone from its answer to the next command. */
const deep = (step: string) => `{ alone: { fork: { compete: true, branches: [${step}] } } }`;
/** Fails where what the branch has is another branch's. */
const check = (path: string) =>
  `{ check: { if: "\${ data != '${path}' }", raise: { error: { type: 'https://x.test/swapped', status: 500 } } } }`;

const replay = async (handle: WorkflowHandle) =>
  await Worker.runReplayHistory(
    { workflowBundle: { codePath: WORKFLOW_BUNDLE } },
    await handle.fetchHistory(),
    handle.workflowId,
  );

/** Answers that the history has one after the other came at other times, the one of the deeper branch first. */
test.each<[string, (name: string) => string]>([
  ['steps in place', get],
  ['steps in their queue', post],
])('%s that follow steps in place in branches keep their answers when they are replayed', async (_, next) => {
  for (let times = 0; times < 3; times += 1) {
    delays.set('/a', 20).set('/b', 120).set('/c', 300).set('/e', 300);
    const handle = await worker.start(
      `do: [{ f: { fork: { branches: [
        { x: { do: [${deep(get('a'))}, ${next('c')}, ${check('/c')}] } },
        { y: { do: [${get('b')}, ${next('e')}, ${check('/e')}] } }] } } }]`,
    );
    await handle.result();
    await replay(handle);
  }
});

test('so do expressions in other languages', async () => {
  const flow = flowOf(`do:
  - f:
      fork:
        branches:
          - x: { do: [${deep(get('a')).replace(/if: '[^']*', /, '')}, { s: { set: '\${ . + "x" }' } }, { t: { set: '\${ . + "X" }' } }] }
          - y: { do: [${get('b').replace(/if: '[^']*', /, '')}, { s: { set: '\${ . + "y" }' } }, { t: { set: '\${ . + "Y" }' } }] }`);
  for (let times = 0; times < 3; times += 1) {
    delays.set('/a', 20).set('/b', 120);
    const handle = await worker.start({ ...flow, evaluate: { language: 'jq' } });
    expect(await handle.result()).toEqual(['/axX', '/byY']);
    await replay(handle);
  }
});
