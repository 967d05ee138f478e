import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { HAS_BUBBLEWRAP } from '../helpers/bubblewrap';
import { runCli } from '../helpers/cli';
import { testTemporal } from '../helpers/temporal';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SCOPES = ['flow:start', 'resources:*', 'secret:*'];

let worker: TestWorker;
let folder: string;
const logged: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'blw-scripts-'));
  const policy = join(folder, 'policy.yaml');
  const tenants = {
    acme: { scopes: [...SCOPES, 'block:script.run'] },
    hostile: { scopes: [...SCOPES, 'block:*'] },
    poor: { scopes: [...SCOPES, 'block:sql.*'] },
    dry: { scopes: [...SCOPES, 'block:*', 'blob:write:*'] },
  };
  writeFileSync(policy, JSON.stringify({ version: 1, tenants }));
  process.env.BLW_TEST_SCRIPT_SECRET = 'hidden-value';
  const settings = {
    policy,
    pools: 'io,cpu,sandbox',
    'script-memory-mb': '48',
    secret: ['token=env:BLW_TEST_SCRIPT_SECRET'],
  };
  worker = await startTestWorker(settings, undefined, { log: (level, message) => logged.push(`${level} ${message}`) });
});
afterAll(async () => {
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

const run = (flow: string, input: Json = null): Promise<Json> => worker.run(flow, input, { tenant: 'acme' });
const fail = (flow: string, tenant = 'acme', input: Json = null): Promise<JsonObject> =>
  worker.fail(flow, input, { tenant });

/** A process that shows all it was given, with this exit code. */
const SHOW = `import { readFileSync } from 'node:fs';
              const [, , name, count] = process.argv;
              console.log(\`\${readFileSync(process.stdin.fd, 'utf8')} \${name} \${count} \${process.env.COLOUR}\`);
              console.error('told');
              process.exit(Number(process.env.CODE));`;

const shown = (kind: string, code: number) => `
      run:
        script:
          language: js
          stdin: \${ data.text }
          arguments: ['\${ data.name }', '2']
          environment: { COLOUR: '\${ data.colour }', CODE: '${code}' }
          code: |
              ${SHOW}
        return: ${kind}
      input: { from: '\${ workflow.input }' }`;

describe('scripts', () => {
  it('compute with their input, as functions', async () => {
    const flow = `
do:
  - total:
      call: script.run
      with:
        input: \${ workflow.input.lines }
        code: |
          const total = input.reduce((sum, { price, count }) => sum + price * count, 0);
          return { total, text: \`\${total} in all\` };
  - given:
      call: script.run
      with: { code: '\${ workflow.input.rule }', input: '\${ steps.total.output.total }' }
output: { as: '\${ { "total": steps.total.output, "ruled": steps.given.output } }' }`;
    const lines = [
      { price: 20, count: 2 },
      { price: 5, count: 1 },
    ];
    expect(await run(flow, { lines, rule: 'return input > 40 ? "much" : "little"' })).toEqual({
      total: { total: 45, text: '45 in all' },
      ruled: 'much',
    });
  });

  it('run as processes, with every kind of return', async () => {
    const kinds = ['stdout', 'stderr', 'code', 'all', 'none'];
    const steps = kinds
      .map((kind) => `  - ${kind}:${shown(kind, kind === 'code' || kind === 'all' ? 4 : 0)}`)
      .join('\n');
    const flow = `do:\n${steps}\noutput: { as: '\${ [${kinds.map((kind) => `steps.${kind}.output`).join(', ')}] }' }`;
    const stdout = 'in ann 2 red\n';
    expect(await run(flow, { text: 'in', name: 'ann', colour: 'red' })).toEqual([
      stdout,
      'told\n',
      4,
      { code: 4, stdout, stderr: 'told\n' },
      null,
    ]);
  });

  it('fail the step with what they threw, once, and can be caught', async () => {
    const flow = `
do:
  - broken:
      run:
        script:
          language: js
          code: |
            const fail = () => {
              throw new RangeError('no');
            };
            fail();`;
    expect(await fail(flow)).toMatchObject({
      code: 'BLW_SCRIPT_FAILED',
      detail: 'script.run: the script threw RangeError: no (line 2)',
      instance: '/do/0/broken',
      data: { name: 'RangeError', line: 2 },
    });
    const caught = `
do:
  - careful:
      try:
        - endless: { call: script.run, with: { code: 'for (;;);', timeout: PT0.2S } }
      catch:
        errors: { with: { status: 408 } }
        do:
          - tell: { set: { code: '\${ error.code }' } }`;
    expect(await run(caught)).toEqual({ code: 'BLW_SCRIPT_TIMEOUT' });
  });

  it('get secrets, which are masked in what they give', async () => {
    const flow = `
use: { secrets: [token] }
do:
  - ask:
      run:
        script:
          language: js
          environment: { TOKEN: '\${ secrets.token }' }
          code: console.log(process.env.TOKEN, process.env.TOKEN.length)`;
    const output = await run(flow);
    expect(output).not.toContain('hidden-value');
    expect(output).toContain(' 12\n');
  });

  it('are isolated as the log of the worker says', () => {
    const lines = logged.filter((line) => line.includes('by the system'));
    expect(lines).toEqual([
      HAS_BUBBLEWRAP ? 'info scripts are isolated by the system' : 'warn scripts run without isolation by the system',
    ]);
  });

  it('are denied to whom the policy gives no block:script.run', async () => {
    const error = await fail("do: [{ a: { run: { script: { language: js, code: '1' } } } }]", 'poor');
    expect(error).toMatchObject({ code: 'BLW_SCOPE_DENIED', detail: expect.stringContaining('block:script.run') });
  });

  it("go on for a tenant while another one's are hostile, each of which ends with its code", async () => {
    const hostile = [
      ['for (;;);', 'BLW_SCRIPT_TIMEOUT'],
      ['const a = []; for (;;) a.push(new ArrayBuffer(1 << 20));', 'BLW_SCRIPT_MEMORY'],
      ['return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)', 'BLW_SCRIPT_TIMEOUT'],
      ["for (;;) console.log('x'.repeat(1000));", 'BLW_SCRIPT_OUTPUT'],
    ] as const;
    const bad = await Promise.all(
      hostile.map(([code]) =>
        worker.start("do: [{ a: { call: script.run, with: { code: '${ workflow.input }', timeout: PT1S } } }]", code, {
          tenant: 'hostile',
        }),
      ),
    );
    const good = "do: [{ a: { call: script.run, with: { code: 'return input * 2', input: '${ workflow.input }' } } }]";
    const outputs = await Promise.all([1, 2, 3, 4, 5, 6].map((number) => run(good, number)));
    expect(outputs).toEqual([2, 4, 6, 8, 10, 12]);
    const errors = await Promise.all(bad.map((handle) => errorOf(handle)));
    expect(errors.map(({ code }) => code)).toEqual(hostile.map(([, code]) => code));
    expect(await run(good, 21)).toBe(42);
  });
});

describe('what a script printed that failed', () => {
  const { address, namespace } = testTemporal();
  const code =
    "for (let n = 1; n < 8; n++) console.log('line', n, n === 7 ? process.env.TOKEN : ''); console.error('oh\\u001b[31m no'); process.exit(3)";
  const flow = `use: { secrets: [token] }
do:
  - ask: { run: { script: { language: js, environment: { TOKEN: '\${ secrets.token }' }, code: ${JSON.stringify(code)} } } }`;
  const beamline = (...args: string[]) =>
    runCli([...args, '--address', address, '--namespace', namespace], { cwd: worker.folder });

  it.each(['live', 'dry-run'])('is shown after a %s run, its last lines, without secrets', async (mode) => {
    const file = join(worker.folder, 'printing.json');
    writeFileSync(file, JSON.stringify(flowOf(flow)));
    const flags = ['--queue-prefix', worker.queuePrefix, '--tenant', 'acme', '--id', `printing-${randomUUID()}`];
    const run = await beamline('run', file, ...flags, ...(mode === 'live' ? [] : ['--dry-run']));
    expect(run.code).toBe(1);
    const text = run.stdout + run.stderr;
    expect(text).toMatch(/stdout: +…\n +line 3\n(.*\n){3} +line 7 \*\*\*\n +stderr: +oh\uFFFD\[31m no\n/);
    if (mode !== 'live') return;
    const shown = await beamline('runs', 'show', String(flags.at(-1)));
    expect(shown.stdout).toMatch(/stdout: +…\n +line 3\n(.*\n){3} +line 7 \*\*\*\n +stderr: +oh/);
  });
});

describe('scripts in a dry run', () => {
  const dryRun = async (flow: string, start: JsonObject = {}): Promise<DryRunReport> =>
    (await worker.client.workflow.execute(RUN_FLOW, {
      workflowId: `dry-${randomUUID()}`,
      taskQueue: `${worker.queuePrefix}-sandbox`,
      args: [{ flow: flowOf(flow), tenant: 'acme', mode: 'dry-run', ...start }],
    })) as DryRunReport;

  it('really run, so that the flow goes on with what they give', async () => {
    const flow = `
do:
  - total: { call: script.run, with: { input: [1, 2], code: 'return { sum: input[0] + input[1] }' } }
  - shout:
      run: { script: { language: js, arguments: ['\${ data.sum }'], code: 'console.log(process.argv[2] + "!")' } }`;
    expect(await dryRun(flow)).toMatchObject({
      status: 'completed',
      output: '3!\n',
      steps: [
        { answer: 'computed', would: 'would run a script of 1 line', output: { sum: 3 } },
        { answer: 'computed', output: '3!\n' },
      ],
    });
  });

  it('do not run where a mock answers, which is checked like the script', async () => {
    const flow = `do: [{ a: { call: script.run, with: { code: 'throw 1', timeout: '\${ workflow.input }' } } }]`;
    const mocks = { a: { output: 'mocked' } };
    expect(await dryRun(flow, { input: 'PT1S', mocks })).toMatchObject({
      output: 'mocked',
      steps: [{ answer: 'request' }],
    });
    expect(await dryRun(flow, { input: 'PT10M', mocks })).toMatchObject({ error: { code: 'BLW_ARG_INVALID' } });
  });

  it.each([
    ['does not compile', 'return {;', 'BLW_SCRIPT_SYNTAX'],
    ['throws', "throw new Error('no')", 'BLW_SCRIPT_FAILED'],
    ['does not end', 'for (;;);', 'BLW_SCRIPT_TIMEOUT'],
  ])('fail as live ones where one %s', async (_, code, expected) => {
    const flow = "do: [{ a: { call: script.run, with: { code: '${ workflow.input }', timeout: PT0.2S } } }]";
    const report = await dryRun(flow, { input: code });
    expect(report).toMatchObject({ status: 'failed', error: { code: expected }, steps: [{ answer: 'computed' }] });
  });

  it('are denied to whom the policy gives no block:script.run', async () => {
    const report = await dryRun("do: [{ a: { run: { script: { language: js, code: '1' } } } }]", { tenant: 'poor' });
    expect(report).toMatchObject({ error: { code: 'BLW_SCOPE_DENIED' } });
  });

  it('are charged to the tenant, and nothing else of a dry run is', async () => {
    const flow = `do:
  - a: { call: script.run, with: { code: 'let n = 0; for (let i = 0; i < 3e6; i++) n += i; return n' } }
  - b: { call: fs.put, with: { path: a, content: b } }`;
    await dryRun(flow, { tenant: 'dry' });
    const state = new Database(join(worker.folder, 'blobs', 'state.sqlite'), { readonly: true });
    try {
      const usage = state.prepare("SELECT * FROM beamline_usage WHERE tenant = 'dry'").get() as JsonObject;
      expect(usage).toMatchObject({ steps: 0, failures: 0 });
      expect(usage.cpu_ms).toBeGreaterThan(20);
    } finally {
      state.close();
    }
  });
});
