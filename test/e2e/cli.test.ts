import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { ApprovalState } from '../../src/dsl/approval';
import { APPROVAL_STATE_QUERY } from '../../src/dsl/names';
import { connectClient } from '../../src/worker/temporal-connection';
import { type CliResult, type RunningCli, runCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';

const PREFIX = `cli-${randomUUID().slice(0, 8)}`;

const HEADER = `document: { dsl: '1.0.3', namespace: test, name: cli, version: '1.0.0', title: Test of the command line }
evaluate: { language: cel }
`;

/** Two steps, one of them in a loop; the output is the input's number and the sum. */
const SUM = `${HEADER}
input:
  schema:
    document: { type: object, required: [numbers], properties: { numbers: { type: array, items: { type: number } } } }
do:
  - store:
      for: { each: number, in: data.numbers }
      do:
        - put:
            call: fs.put
            with: { path: 'numbers/\${ string(index) }.json', content: '\${ number }' }
  - total:
      set: { count: '\${ workflow.input.numbers.size() }' }
`;

const FAILING = `${HEADER}
do:
  - refuse:
      raise: { error: { type: https://example.com/errors/refused, status: 409, title: Refused, detail: Not today } }
`;

const ASKING = `${HEADER}
do:
  - ask:
      call: human.approval
      with:
        title: Refund 99 EUR?
        assignees: { users: [alice], groups: [finance] }
        requiredApprovals: 2
        form: { type: object, required: [reason], properties: { reason: { type: string } } }
`;

const TWO_ASK = `${HEADER}
do:
  - both:
      fork:
        branches:
          - left: { call: human.approval, with: { title: Left? } }
          - right: { call: human.approval, with: { title: Right? } }
`;

describe('beamline run and beamline approvals', () => {
  let folder: string;
  let worker: RunningCli;
  let client: Client;
  let close: () => Promise<void>;
  let connection: string[];
  const started: RunningCli[] = [];

  beforeAll(async () => {
    const { address, namespace } = testTemporal();
    connection = ['--address', address, '--namespace', namespace];
    folder = mkdtempSync(join(tmpdir(), 'beamline-cli-'));
    const flows = { sum: SUM, failing: FAILING, asking: ASKING, twoAsk: TWO_ASK };
    for (const [name, text] of Object.entries(flows)) writeFileSync(join(folder, `${name}.yaml`), text);
    ({ client, close } = await connectClient({ address, namespace }));
    worker = startCli(['worker', ...connection, '--queue-prefix', PREFIX, '--pools', 'io'], { cwd: folder });
    await worker.waitFor(/"worker started"/);
  }, 60_000);

  afterAll(async () => {
    for (const cli of started) cli.kill();
    worker.child.kill('SIGTERM');
    const { code } = await worker.exited;
    await close();
    rmSync(folder, { recursive: true, force: true });
    expect(code).toBe(0);
  }, 60_000);

  const newId = () => `${PREFIX}-${randomUUID().slice(0, 8)}`;
  const runArguments = (flow: string, args: readonly string[]) => [
    ...['run', `${flow}.yaml`, ...connection, '--queue-prefix', PREFIX],
    ...args,
  ];
  const run = (flow: string, ...args: string[]) => runCli(runArguments(flow, args), { cwd: folder });
  const approvals = (...args: string[]): Promise<CliResult> =>
    runInProcess(['approvals', ...args, ...connection], { cwd: folder });

  /** Starts a flow and waits until the approval waits. */
  const ask = async (flow = 'asking', step = 'ask', ...args: string[]): Promise<string> => {
    const id = newId();
    const { code } = await runInProcess(runArguments(flow, ['--id', id, '--detach', ...args]), { cwd: folder });
    expect(code).toBe(0);
    const deadline = Date.now() + 15_000;
    for (;;) {
      try {
        await client.workflow.getHandle(`${id}/${step}`).query<ApprovalState>(APPROVAL_STATE_QUERY);
        return id;
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError) || Date.now() > deadline) throw error;
      }
    }
  };

  describe('run', () => {
    it('prints the output on stdout and a line for each step on stderr', async () => {
      const { code, stdout, stderr } = await run('sum', '--input', '{"numbers": [4, 5]}', '--id', newId());
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(stdout).toBe('{\n  "count": 2\n}\n');
      expect(stderr).toMatch(/^test\/cli:1\.0\.0 runs as cli-/);
      expect(stderr).toMatch(/^✓ \/do\/0\/store\/do\/0\/put \[0\] +fs\.put +io +1 attempt +\d/m);
      expect(stderr).toMatch(/^✓ \/do\/0\/store\/do\/0\/put \[1\] +fs\.put +io +1 attempt +\d/m);
      expect(stderr).toMatch(/^✓ \/do\/1\/total +set +\d/m);
      expect(stderr).not.toContain('store  ');
    });

    it('reads the input from a file, and names the workflow after the flow', async () => {
      writeFileSync(join(folder, 'input.json'), '{"numbers": []}');
      const { code, stdout } = await run('sum', '--input', '@input.json', '--json');
      expect(code).toBe(0);
      expect(JSON.parse(stdout)).toEqual({
        workflowId: expect.stringMatching(/^cli-[0-9a-f]{8}$/),
        runId: expect.any(String),
        status: 'Completed',
        output: { count: 0 },
      });
    });

    it('starts the workflow with title, tenant and priority', async () => {
      const id = newId();
      const args = ['--input', '{"numbers": []}', '--tenant', 'acme', '--priority', '2', '--requested-by', 'bob'];
      expect((await run('sum', '--id', id, ...args)).code).toBe(0);
      const description = await client.workflow.getHandle(id).describe();
      expect(await description.staticSummary()).toBe('Test of the command line');
      expect(description.priority).toMatchObject({ priorityKey: 2, fairnessKey: 'acme' });
      expect(description).toMatchObject({ type: 'runFlow', taskQueue: `${PREFIX}-io` });
      expect(description.searchAttributes).toMatchObject({
        BeamlineTenant: ['acme'],
        BeamlineFlow: ['test/cli:1.0.0'],
      });
    });

    it('exits with 1 and prints the error of a flow that failed', async () => {
      const { code, stdout, stderr } = await run('failing', '--id', newId());
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^✗ \/do\/0\/refuse +raise/m);
      expect(stderr).toMatch(/^error: Not today$/m);
      expect(stderr).toMatch(/^ {2}type: +https:\/\/example\.com\/errors\/refused$/m);
      expect(stderr).toMatch(/^ {2}status: +409$/m);
      expect(stderr).toMatch(/^ {2}instance: +\/do\/0\/refuse$/m);
    });

    it('puts the error into the JSON object with --json', async () => {
      const id = newId();
      const { code, stdout } = await run('failing', '--id', id, '--json');
      expect(code).toBe(1);
      const error = {
        type: 'https://example.com/errors/refused',
        status: 409,
        detail: 'Not today',
        instance: '/do/0/refuse',
      };
      expect(JSON.parse(stdout)).toMatchObject({ workflowId: id, status: 'Failed', error });
    });

    it.each([
      ['an invalid flow', 'do: [{ a: { cal: http } }]', [], /^<stdin>:1:\d+ BLW_/m],
      ['input that does not match the schema', SUM, ['--input', '{"numbers": ["x"]}'], /\[BLW_DATA_INVALID\]/],
      ['a tenant that is no name', SUM, ['--input', '{"numbers": []}', '--tenant', 'a b'], /\[BLW_START_INVALID\]/],
    ])('starts nothing for %s and exits with 2', async (_, flow, args, message) => {
      const id = newId();
      const { code, stdout, stderr } = await runCli(
        ['run', '-', ...connection, '--queue-prefix', PREFIX, '--id', id, ...args],
        { stdin: flow },
      );
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(message);
      await expect(client.workflow.getHandle(id).describe()).rejects.toThrow(WorkflowNotFoundError);
    });

    it('returns at once with --detach, and refuses an id that is running', async () => {
      const id = newId();
      const first = await run('asking', '--id', id, '--detach', '--json');
      expect(first.code).toBe(0);
      expect(JSON.parse(first.stdout)).toMatchObject({ workflowId: id, status: 'Running' });
      const second = await run('asking', '--id', id, '--detach');
      expect(second.code).toBe(2);
      expect(second.stderr).toContain(
        `error: a flow with the id "${id}" is running or has completed already [BLW_USAGE]`,
      );
      await client.workflow.getHandle(id).terminate();
    });

    it.each([
      ['Cancelled', (id: string) => client.workflow.getHandle(id).cancel(), /the flow was cancelled/],
      ['Terminated', (id: string) => client.workflow.getHandle(id).terminate('enough'), /terminated: enough/],
    ])('exits with 1 for a flow that was %s', async (status, end, detail) => {
      const id = newId();
      const cli = startCli(runArguments('asking', ['--id', id, '--json']), { cwd: folder });
      started.push(cli);
      await cli.waitFor(/awaits approval/, { stream: 'stderr' });
      await end(id);
      const { code, stdout } = await cli.exited;
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ status, error: { detail: expect.stringMatching(detail) } });
    });

    it('exits with 1 for a flow that took longer than --timeout', async () => {
      const { code, stdout } = await run('asking', '--id', newId(), '--timeout', 'PT1S', '--json');
      expect(code).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({ status: 'TimedOut', error: { code: 'BLW_STEP_TIMEOUT' } });
    });

    it('stops following at Ctrl-C, says how to go on, and leaves the flow alone', async () => {
      const id = newId();
      const cli = startCli(runArguments('asking', ['--id', id]), { cwd: folder });
      started.push(cli);
      await cli.waitFor(/awaits approval .*\n +node \S*beamline\.js approvals approve /, { stream: 'stderr' });
      cli.child.kill('SIGINT');
      const { code, stdout, stderr } = await cli.exited;
      expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
      expect(stderr).toContain(`the flow goes on as ${id}`);
      expect(stderr).toMatch(new RegExp(`cancel it: +node \\S*beamline\\.js runs cancel ${id} --address`));
      const handle = client.workflow.getHandle(id);
      expect((await handle.describe()).status.name).toBe('RUNNING');
      await handle.terminate();
    });

    it('says once that no worker polls the queue', async () => {
      const id = newId();
      const cli = startCli(
        ['run', 'sum.yaml', ...connection, '--queue-prefix', id, '--id', id, '--input', '{"numbers":[]}'],
        {
          cwd: folder,
        },
      );
      started.push(cli);
      await cli.waitFor(/no worker polls .*-io yet; start one with `node \S*beamline\.js worker --queue-prefix /, {
        stream: 'stderr',
      });
      await client.workflow.getHandle(id).terminate('test is over');
      const { code, stderr } = await cli.exited;
      expect(code).toBe(1);
      expect(stderr.match(/no worker polls/g)).toHaveLength(1);
    });

    it('names the namespace that does not exist', async () => {
      const { code, stderr } = await run('sum', '--input', '{"numbers":[]}', '--namespace', 'no-such-namespace');
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /has no namespace "no-such-namespace"; set --namespace or TEMPORAL_NAMESPACE \[BLW_CONFIG\]/,
      );
    });
  });

  describe('approvals', () => {
    it('lists what waits for a tenant, as a table and as JSON', async () => {
      const tenant = `tenant-${randomUUID().slice(0, 8)}`;
      const id = await ask('asking', 'ask', '--tenant', tenant);
      const list = await listUntil(tenant, 1);
      expect(list).toEqual({
        hasMore: false,
        approvals: [
          expect.objectContaining({ id: `${id}/ask`, title: 'Refund 99 EUR?', tenant, requiredApprovals: 2 }),
        ],
      });
      const { stdout } = await runCli(['approvals', 'list', '--tenant', tenant, ...connection], { cwd: folder });
      expect(stdout).toMatch(/^ID +TITLE +FLOW +TENANT +APPROVALS +WAITING +EXPIRES +WHO\n/);
      expect(stdout).toMatch(
        /\/ask +Refund 99 EUR\? +test\/cli:1\.0\.0 +tenant-.* 0\/2 .* never +alice, group finance\n$/,
      );
      expect((await approvals('list', '--tenant', 'nobody')).stdout).toBe('no approval waits\n');
      await client.workflow.getHandle(id).terminate();
    });

    /** Temporal's lists are behind by a moment. */
    async function listUntil(tenant: string, count: number): Promise<{ approvals: object[]; hasMore: boolean }> {
      const deadline = Date.now() + 15_000;
      for (;;) {
        const { stdout } = await approvals('list', '--tenant', tenant, '--json');
        const list = JSON.parse(stdout) as { approvals: object[]; hasMore: boolean };
        if (list.approvals.length === count || Date.now() > deadline) return list;
      }
    }

    it('approves by the id of the approval, step by step, and the flow goes on', async () => {
      const id = await ask();
      const form = ['--form', '{"reason": "broken"}'];
      const first = await approvals('approve', `${id}/ask`, '--by', 'alice', '--comment', 'fine', ...form);
      expect(first).toEqual({
        code: 0,
        stdout: 'recorded: "Refund 99 EUR?" has 1/2 approvals and waits for more\n',
        stderr: '',
      });
      const shown = await approvals('show', `${id}/ask`);
      expect(shown.stdout).toMatch(/^Refund 99 EUR\?\n {2}id +.*\/ask\n {2}status +pending, 1\/2 approvals\n/);
      expect(shown.stdout).toMatch(/^ {2}approved +by alice at .*: fine; {"reason":"broken"}$/m);
      const second = await approvals(
        'approve',
        `${id}/ask`,
        '--by',
        'bob',
        '--group',
        'x',
        '--group',
        'finance',
        ...form,
      );
      expect(second.stdout).toBe('approved: "Refund 99 EUR?"\n');
      expect(await client.workflow.getHandle(id).result()).toMatchObject({ decision: 'approved' });
    });

    it('rejects by the id of the flow, where one approval waits', async () => {
      const id = await ask();
      const result = await approvals('reject', id, '--by', 'alice', '--comment', 'no', '--json');
      expect(result.code).toBe(0);
      expect(JSON.parse(result.stdout)).toMatchObject({ id: `${id}/ask`, status: 'rejected' });
      expect(await client.workflow.getHandle(id).result()).toMatchObject({ decision: 'rejected' });
    });

    it('asks which one is meant where several approvals of a flow wait', async () => {
      const id = await ask('twoAsk', 'both/left');
      const result = await approvals('show', id);
      expect(result.code).toBe(2);
      expect(result.stderr).toMatch(
        /error: 2 approvals of the flow ".*" wait: .*(left, .*right|right, .*left) \[BLW_USAGE\]/,
      );
      await client.workflow.getHandle(id).terminate();
    });

    it.each([
      ['somebody who is not an assignee', ['--by', 'mallory', '--form', '{"reason": "x"}'], 'BLW_APPROVAL_DENIED'],
      ['the one who asked', ['--by', 'bob', '--group', 'finance', '--form', '{"reason": "x"}'], 'BLW_APPROVAL_DENIED'],
      ['a missing form', ['--by', 'alice'], 'BLW_DATA_INVALID'],
      ['an empty name', ['--by', ' '], 'BLW_APPROVAL_INVALID'],
    ])('passes on the refusal of %s with its code, and exits with 1', async (_, args, code) => {
      const id = await ask('asking', 'ask', '--requested-by', 'bob');
      const result = await approvals('approve', `${id}/ask`, ...args);
      expect(result).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^error: .+ \[.+\]\n {2}.+\n$/),
      });
      expect(result.stderr).toContain(`[${code}]`);
      await client.workflow.getHandle(id).terminate();
    });

    it('tells a closed approval from one that never was', async () => {
      const id = await ask();
      expect((await approvals('reject', `${id}/ask`, '--by', 'alice')).code).toBe(0);
      await client.workflow.getHandle(id).result();
      const closed = await approvals('approve', `${id}/ask`, '--by', 'alice');
      expect(closed).toMatchObject({ code: 1, stderr: expect.stringContaining('[BLW_APPROVAL_CLOSED]') });
      const unknown = await approvals('approve', `${id}/asked`, '--by', 'alice');
      expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('[BLW_USAGE]') });
      const none = await approvals('approve', id, '--by', 'alice');
      expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/no approval of the flow ".*" waits/) });
    });
  });
});

describe('beamline worker', () => {
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-cli-worker-'));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  const worker = (...args: string[]) => {
    const { address } = testTemporal();
    return startCli(['worker', '--address', address, '--queue-prefix', `${PREFIX}-w`, ...args], { cwd });
  };

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'logs a line for each pool, and stops in good order at %s',
    async (signal) => {
      const cli = worker('--pools', 'io,gpu', '--gpu-pool-size', '3');
      try {
        await cli.waitFor(/"pool":"io"[\s\S]*"pool":"gpu"/);
        cli.child.kill(signal);
        const { code, stdout, stderr } = await cli.exited;
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const lines = stdout
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line));
        expect(lines.map(({ message }) => message)).toEqual([
          expect.stringMatching(/^no authentication \(--auth none\)/),
          'worker started',
          'worker started',
          expect.stringMatching(/^draining; SIGINT \(Ctrl-C\) once more ends at once$/),
          'worker stopped',
        ]);
        expect(lines[2]).toMatchObject({
          level: 'INFO',
          fields: { pool: 'gpu', task_queue: `${PREFIX}-w-gpu`, slots: 3 },
        });
      } finally {
        cli.kill();
      }
    },
  );

  it('ends at once, with 130, at a second SIGINT while a step still runs', async () => {
    const servers = new LoopbackServers();
    const cli = worker('--pools', 'io', '--shutdown-grace', '600', '--allow-host', '127.0.0.1');
    const { client, close } = await connectClient(testTemporal());
    const id = `${PREFIX}-${randomUUID().slice(0, 8)}`;
    try {
      let arrive = () => {};
      const arrived = new Promise<void>((resolve) => {
        arrive = resolve;
      });
      const { origin } = await servers.tcp(() => arrive());
      await cli.waitFor(/"worker started"/);
      const { address } = testTemporal();
      const flow = `${HEADER}\ndo: [{ hang: { call: http, with: { method: get, endpoint: '${origin}' } } }]`;
      const flags = ['--address', address, '--queue-prefix', `${PREFIX}-w`, '--id', id, '--detach'];
      expect((await runCli(['run', '-', ...flags], { stdin: flow })).code).toBe(0);
      await arrived;
      cli.child.kill('SIGINT');
      await cli.waitFor(/"draining; SIGINT/);
      cli.child.kill('SIGINT');
      expect((await cli.exited).code).toBe(130);
    } finally {
      cli.kill();
      await servers.close();
      await client.workflow.getHandle(id).terminate();
      await close();
    }
  });

  it('takes its settings from a config file, under the command line', async () => {
    writeFileSync(join(cwd, 'worker.yaml'), 'pools: [gpu]\ngpu-pool-size: 5\nlog-level: info\n');
    const cli = worker('--config', 'worker.yaml', '--gpu-pool-size', '4');
    try {
      await cli.waitFor(/"worker started"/);
      expect(cli.stdout()).toContain('"pool":"gpu"');
      expect(cli.stdout()).toContain('"slots":4');
      cli.child.kill('SIGTERM');
      expect((await cli.exited).code).toBe(0);
    } finally {
      cli.kill();
    }
  });

  it('names the namespace that does not exist, and exits with 2', async () => {
    const { code, stderr } = await worker('--namespace', 'no-such-namespace').exited;
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: Temporal at .* has no namespace "no-such-namespace".* \[BLW_CONFIG\]$/m);
  });
});
