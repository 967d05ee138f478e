import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { eventually, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Two builds of one worker on the same queues, as during a deployment. */
const DEPLOYMENT = `test-${randomUUID().slice(0, 8)}`;
const QUEUES = `versioned-${DEPLOYMENT}`;

const catalogs = { a: catalogOf('a'), b: catalogOf('b') };
let builds: { a: TestWorker; b: TestWorker };

/** Each build has a catalog of its own: which one prepared a flow can be told from what a sub-flow says. */
function catalogOf(build: string) {
  return makeCatalogFolder({
    'which.yaml': flowText('versions/which:1.0.0', `do:\n  - say: { set: { build: ${build} } }`),
  });
}

beforeAll(async () => {
  const start = (build: 'a' | 'b') =>
    startTestWorker({
      pools: 'io',
      'queue-prefix': QUEUES,
      catalog: catalogs[build].folder,
      'build-id': `build-${build}`,
      'deployment-name': DEPLOYMENT,
    });
  builds = { a: await start('a'), b: await start('b') };
});
afterAll(async () => {
  await builds.b.stop();
  await builds.a.stop();
  for (const catalog of Object.values(catalogs)) catalog.dispose();
});

/** Sends new flows to a build; the server knows it once its worker has polled. */
async function makeCurrent(buildId: string): Promise<void> {
  const { client } = builds.a;
  await eventually(async () => {
    await client.workflowService.setWorkerDeploymentCurrentVersion({
      namespace: client.options.namespace,
      deploymentName: DEPLOYMENT,
      buildId,
      identity: 'test',
    });
    return true;
  }, 30_000);
}

const start = (flow: string): Promise<WorkflowHandle> =>
  builds.a.client.workflow.start('runFlow', {
    taskQueue: `${QUEUES}-io`,
    workflowId: `versioned-${randomUUID()}`,
    args: [{ flow: flowOf(flow) }],
  });

/** Builds that worked on a flow, in the order of its history. */
async function buildsOf(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  const versions = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: task }) =>
    task == null ? [] : [task.deploymentVersion?.buildId ?? 'none'],
  );
  return [...new Set(versions)];
}

const ASKS = `
do:
  - approve: { call: human.approval, with: { title: Go on? } }
  - which: { run: { workflow: { namespace: versions, name: which, version: 1.0.0 } } }
`;
const SAYS = 'do:\n  - which: { run: { workflow: { namespace: versions, name: which, version: 1.0.0 } } }';

it('finishes a flow on the build that it began on, while another build serves new flows', async () => {
  await makeCurrent('build-a');
  const old = await start(ASKS);
  const approval = builds.a.client.workflow.getHandle(`${old.workflowId}/approve`);
  await eventually(async () => ((await approval.describe()).status.name === 'RUNNING' ? true : undefined));

  await makeCurrent('build-b');
  const young = await start(SAYS);
  expect(await young.result()).toEqual({ build: 'b' });
  expect(await buildsOf(young)).toEqual(['build-b']);

  await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'alice' }] });
  expect(await old.result()).toEqual({ build: 'a' });
  expect(await buildsOf(old)).toEqual(['build-a']);
  expect(await buildsOf(approval)).toEqual(['build-a']);
}, 90_000);

it('takes a chain of runs along to the current build', async () => {
  await makeCurrent('build-a');
  const { client } = builds.a;
  const workflowId = `chain-${randomUUID()}`;
  const chain = await client.workflow.signalWithStart('repeatFlow', {
    workflowId,
    taskQueue: `${QUEUES}-io`,
    args: [],
    signal: 'configure',
    signalArgs: [
      {
        start: { flow: 'versions/which' },
        flow: 'versions/which',
        tenant: 'default',
        workflowId,
        afterMs: 1_000,
        deployed: {},
      },
    ],
  });
  const outputs = async () => {
    const query = `WorkflowType = 'runFlow' AND WorkflowId STARTS_WITH '${workflowId}-' AND ExecutionStatus = 'Completed'`;
    const found = new Set<string>();
    for await (const run of client.workflow.list({ query })) {
      const { build } = (await client.workflow.getHandle(run.workflowId).result()) as { build: string };
      found.add(build);
    }
    return found;
  };
  await eventually(async () => ((await outputs()).has('a') ? true : undefined));
  await makeCurrent('build-b');
  await eventually(async () => ((await outputs()).has('b') ? true : undefined));
  await chain.terminate();
}, 90_000);
