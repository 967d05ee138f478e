import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { APPROVAL, type FlowStatus, RUN_FLOW, RUN_WINDOW, SEARCH_ATTRIBUTES } from '../../src/dsl/names';
import { projectRoot } from '../helpers/project-root';
import { testTemporal } from '../helpers/temporal';
import { eventually } from '../helpers/test-worker';

/** The queries of docs/operations.md by what they say they find. */
const queries = new Map(
  (/^```sql\n([\s\S]*?)^```$/m.exec(readFileSync(join(projectRoot(), 'docs', 'operations.md'), 'utf8'))?.[1] ?? '')
    .split('\n-- ')
    .map((part) => part.replace(/^-- /, '').trim().split('\n') as [string, string]),
);

let client: Client;
const started: string[] = [];

beforeAll(async () => {
  const { address, namespace } = testTemporal();
  client = new Client({ connection: await Connection.connect({ address }), namespace });
});

afterAll(async () => {
  await Promise.all(started.map((id) => client.workflow.getHandle(id).terminate('the test is over')));
  await client.connection.close();
});

/** Puts a workflow into Temporal's lists as a flow would stand there. No worker takes it up. */
async function stand(workflowType: string, attributes: { status: FlowStatus; block?: string }): Promise<string> {
  const id = `operations-${workflowType}-${attributes.status}-${Date.now()}`;
  const values = { tenant: 'acme', flow: 'shop/order:1.2.0', ...attributes };
  const pairs = Object.entries(values).map(([name, value]) => ({
    key: defineSearchAttributeKey(
      SEARCH_ATTRIBUTES[name as keyof typeof SEARCH_ATTRIBUTES],
      SearchAttributeType.KEYWORD,
    ),
    value,
  }));
  await client.workflow.start(workflowType, {
    workflowId: id,
    taskQueue: 'operations-nobody',
    typedSearchAttributes: new TypedSearchAttributes(pairs),
  });
  started.push(id);
  return id;
}

/** What a query finds of those that stand here, once Temporal's lists have all of them. */
async function found(question: string, ids: Readonly<Record<string, string>>): Promise<string[]> {
  const query = queries.get(question);
  if (query === undefined) throw new Error(`docs/operations.md has no query "${question}"`);
  const names = new Map(Object.entries(ids).map(([name, id]) => [id, name]));
  const results: string[] = [];
  for await (const { workflowId } of client.workflow.list({ query })) {
    const name = names.get(workflowId);
    if (name !== undefined) results.push(name);
  }
  return results.sort();
}

async function untilListed(ids: readonly string[]): Promise<void> {
  const query = ids.map((id) => `WorkflowId = '${id}'`).join(' OR ');
  await eventually(async () => ((await client.workflow.count(query)).count === ids.length ? true : undefined));
}

test('every query is one that Temporal takes', async () => {
  expect(queries.size).toBeGreaterThan(20);
  for (const [question, query] of queries) {
    const { count } = await client.workflow.count(query);
    expect({ question, count }).toEqual({ question, count: expect.any(Number) });
    if (query.includes('GROUP BY')) continue;
    // A list is asked for in another way than a count.
    for await (const _ of client.workflow.list({ query, pageSize: 1 })) break;
  }
});

test('an attribute that does not exist is refused, so that the test above can fail', async () => {
  await expect(client.workflow.count("BeamlineTennant = 'acme'")).rejects.toThrow();
});

test('they find what they say', async () => {
  const ids = {
    running: await stand(RUN_FLOW, { status: 'Running' }),
    awaiting: await stand(RUN_FLOW, { status: 'AwaitingApproval', block: 'human.approval' }),
    approval: await stand(APPROVAL, { status: 'AwaitingApproval', block: 'human.approval' }),
    dead: await stand(RUN_FLOW, { status: 'DeadLettered', block: 'http.request' }),
    deadBatch: await stand(RUN_WINDOW, { status: 'DeadLettered', block: 'sql.query' }),
    quota: await stand(RUN_FLOW, { status: 'AwaitingQuota' }),
    undoing: await stand(RUN_FLOW, { status: 'Compensating' }),
  };
  await untilListed(Object.values(ids));

  const flows = ['awaiting', 'dead', 'quota', 'running', 'undoing'];
  expect(await found('What runs for a tenant', ids)).toEqual(flows);
  expect(await found('All open runs of a flow, whatever its version', ids)).toEqual(flows);
  expect(await found('What waits for a person: the approvals themselves', ids)).toEqual(['approval']);
  expect(await found('Flows that do nothing but wait for a person', ids)).toEqual(['awaiting']);
  expect(await found('What is dead-lettered (batches of loops are workflows of their own)', ids)).toEqual([
    'dead',
    'deadBatch',
  ]);
  expect(await found('Dead letters of a block', ids)).toEqual(['dead']);
  expect(await found('What waits for a quota', ids)).toEqual(['quota']);
  expect(await found('What is being undone', ids)).toEqual(['undoing']);
  expect(await found('What failed today, all flows', ids)).toEqual([]);
});
