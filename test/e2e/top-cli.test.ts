import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { TopSampler } from '../../src/cli/top/top-sampler';
import { type TopView, topView } from '../../src/cli/top/top-view';
import { connectClient } from '../../src/worker/temporal-connection';
import { BrokenService, lettersOf } from '../helpers/broken-service';
import { type CliResult, runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { LoopbackServers } from '../helpers/loopback';
import { LoopbackProxy } from '../helpers/loopback-proxy';
import { childrenOf } from '../helpers/process-tree';
import { testTemporal } from '../helpers/temporal';
import { eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const BIN = join(__dirname, '..', '..', 'bin', 'beamline.js');

const servers = new LoopbackServers();
let worker: TestWorker;
let service: BrokenService;
/** It takes its time to give up. */
let unreachable: Promise<CliResult>;
const unused: WorkflowHandle[] = [];

beforeAll(async () => {
  unreachable = servers.closedPort().then((port) => runCli(['top', '--address', `127.0.0.1:${port}`]));
  service = await new BrokenService().open();
  worker = await startTestWorker({ 'prometheus-endpoint': '127.0.0.1:0' });
});
afterAll(async () => {
  for (const handle of unused) await handle.terminate().catch(() => undefined);
  await worker.stop();
  await service.close();
  await servers.close();
});

const flags = () => [
  '--address',
  testTemporal().address,
  '--namespace',
  testTemporal().namespace,
  '--queue-prefix',
  worker.queuePrefix,
];
/** At a port where nothing listens, so that the metrics of another worker of this machine do not count. */
const noMetrics = () => ['--metrics', '127.0.0.1:1'];
const metrics = () => ['--metrics', (worker.worker.metricsUrl ?? '').replace('http://', '')];
const top = (...args: string[]): Promise<CliResult> => runInProcess(['top', ...args, ...flags()]);

async function frame(...args: string[]): Promise<TopView> {
  const { code, stdout, stderr } = await top('--json', ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as TopView;
}

test('has the pools, the flows by status, and what waits for people, of Temporal alone', async () => {
  const before = await frame(...noMetrics());
  service.broken.add('/p');
  const asked = await worker.start('do: [{ask: {call: human.approval, with: {title: Pay?}}}]');
  const parked = await worker.start(`do: [${service.step('pay', '/p')}]`, { n: 1 });
  unused.push(asked, parked);
  await progressWhen(asked, ({ steps }) => steps[0]?.approval !== undefined);
  await lettersOf(parked);
  await worker.run('do: [{s: {set: {a: 1}}}]');
  await worker.fail("do: [{s: {raise: {error: {type: 'https://x.test/e', status: 409, title: no}}}}]");
  // The server is shared with other tests: what is ours is there, and more may be.
  const view = await eventually(async () => {
    const now = await frame(...noMetrics());
    const isThere =
      now.flows.open.AwaitingApproval > 0 &&
      now.flows.open.DeadLettered > 0 &&
      (now.flows.endedLastHour.Failed ?? 0) > 0;
    return isThere ? now : undefined;
  });
  expect(view.flows.endedLastHour.Completed).toBeGreaterThan(before.flows.endedLastHour.Completed ?? 0);
  expect(view.flows.endedLastHour).not.toHaveProperty('Running');
  expect(view.approvals).toEqual({ waiting: expect.any(Number), oldestSeconds: expect.any(Number) });
  expect(view.approvals.waiting).toBeGreaterThan(0);
  expect(view.deadLetters.flows).toBeGreaterThan(0);
  const pool = { workers: 1, queueDepth: 0, queueAgeSeconds: 0 };
  expect(view.pools).toMatchObject(
    ['io', 'cpu', 'gpu'].map((name) => ({ ...pool, pool: name, taskQueue: `${worker.queuePrefix}-${name}` })),
  );
  expect(view.notes).toEqual([
    '127.0.0.1:1 does not answer: ECONNREFUSED',
    expect.stringContaining('start workers with --prometheus-endpoint'),
  ]);
});

test('has the backlog of a pool that nobody serves, and draws it', async () => {
  const queuePrefix = `none-${randomUUID()}`;
  const start = { workflowId: queuePrefix, taskQueue: `${queuePrefix}-io`, args: [{}] };
  unused.push(await worker.client.workflow.start('runFlow', start));
  const where = ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
  const line = await eventually(async () => {
    const args = ['top', '--once', ...where, '--queue-prefix', queuePrefix, ...noMetrics()];
    return /^io +0 +- +1 +\d.*$/m.exec((await runInProcess(args)).stdout)?.[0];
  });
  expect(line).toMatch(/^io +0 +- +1 +\d+(\.\d+)? (ms|s) /);
});

test('has rates and latencies of a real worker, from its metrics', async () => {
  const endpoint = `{get: {call: http, with: {method: get, endpoint: '${service.origin}/fast'}}}`;
  let isOver = false;
  const working = (async () => {
    while (!isOver) await worker.run(`do: [${endpoint}]`);
  })();
  try {
    const view = await eventually(async () => {
      const now = await frame(...metrics(), '--interval', '0.5');
      return (now.steps.find(({ type }) => type === 'http.request')?.perSecond ?? 0) > 0 ? now : undefined;
    });
    expect(view.steps.find(({ type }) => type === 'http.request')).toMatchObject({
      failedPerSecond: expect.any(Number),
      p50Ms: expect.any(Number),
      p95Ms: expect.any(Number),
      ended: expect.any(Number),
    });
    expect(view.processes?.seen).toBe(1);
    expect(view.notes).toEqual([]);
    const { stdout } = await top('--once', ...metrics(), '--interval', '0.5');
    expect(stdout).toMatch(/^http\.request +\d/m);
    expect(stdout).not.toContain('\u001b');
  } finally {
    isOver = true;
    await working;
  }
});

test('says so where what answers is no worker, or no page of metrics', async () => {
  const answers: Record<string, string> = { '/a/metrics': 'up 1\n', '/b/metrics': '<html>\n' };
  const { origin } = await servers.http(({ url = '' }, response) => {
    response.writeHead(answers[url] === undefined ? 404 : 200).end(answers[url] ?? '');
  });
  const { notes } = await frame('--metrics', `${origin}/a`, '--metrics', `${origin}/b`, '--metrics', `${origin}/c`);
  expect(notes.slice(0, 3)).toEqual([
    `${origin}/a has metrics, but not those of a worker; is it Prometheus itself?`,
    expect.stringMatching(/\/b does not answer: line 1: got "<html>", expected a metric/),
    `${origin}/c does not answer: status 404`,
  ]);
});

test.each<[string, string[], string]>([
  ['an endpoint that is none', ['--metrics', 'worker'], 'expected HOST:PORT'],
  ['an interval that is none', ['--interval', 'soon'], 'Expected seconds, from 0.5 to 3600'],
  ['an interval too short', ['--interval', '0.1'], 'Expected seconds, from 0.5 to 3600'],
  ['an argument', ['acme'], 'too many arguments'],
])('refuses %s', async (_, args, detail) => {
  expect(await top(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(detail) });
});

test.concurrent('exits with 3 where Temporal cannot be reached at the start, and with 2 where there is no such namespace', async () => {
  const stderr = expect.stringContaining('[BLW_TEMPORAL_UNREACHABLE]');
  expect(await unreachable).toMatchObject({ code: 3, stdout: '', stderr });
  const { address } = testTemporal();
  const wrong = await runInProcess(['top', '--address', address, '--namespace', 'nowhere', ...noMetrics()]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('no namespace "nowhere"') });
});

/** Passes everything on until it is cut. */
class CutProxy extends LoopbackProxy {
  #isCut = false;

  static async inFront(address: string): Promise<CutProxy> {
    return await new CutProxy(Number(address.split(':').at(-1))).listen();
  }

  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (isCut) this.breakAll();
  }

  protected override accepts(): boolean {
    return !this.#isCut;
  }

  protected override pass(...[client, server]: Parameters<LoopbackProxy['pass']>): void {
    client.pipe(server).pipe(client);
  }
}

test.concurrent('while it runs and Temporal goes away, says so, and goes on when it is back', async () => {
  const proxy = await CutProxy.inFront(testTemporal().address);
  const { namespace } = testTemporal();
  const { client, address, close } = await connectClient({ address: `127.0.0.1:${proxy.port}`, namespace });
  try {
    const sampler = new TopSampler({ client, address, namespace }, { queuePrefix: worker.queuePrefix, endpoints: [] });
    const first = await sampler.read();
    proxy.cut(true);
    const lost = await sampler.read();
    expect(topView(first, lost).notes[0]).toMatch(
      /^since \d\d:\d\d:\d\dZ Temporal at 127\.0\.0\.1:\d+ does not answer/,
    );
    expect(lost.temporal).toEqual(first.temporal);
    proxy.cut(false);
    const back = await eventually(async () => {
      const sample = await sampler.read();
      return sample.lost === undefined ? sample : undefined;
    }, 25_000);
    expect(topView(lost, back).notes[0]).not.toMatch(/does not answer/);
  } finally {
    await close();
    await proxy.close();
  }
}, 40_000);

/** A terminal of 80 by 24, of the program `script` (util-linux). */
const SCRIPT = '/usr/bin/script';
const onTerminal = existsSync(SCRIPT) && process.platform === 'linux' ? describe : describe.skip;

onTerminal('on a terminal', () => {
  interface Terminal {
    readonly child: ChildProcess;
    readonly text: () => string;
    readonly exited: Promise<unknown>;
  }

  function open(env: NodeJS.ProcessEnv = {}): Terminal {
    const args = ['top', '--interval', '0.5', ...noMetrics(), ...flags()];
    const line = `stty rows 24 cols 80; exec ${process.execPath} ${BIN} ${args.join(' ')}`;
    const { NO_COLOR: _, ...inherited } = process.env;
    const child = spawn(SCRIPT, ['-qec', line, '/dev/null'], { env: { ...inherited, TERM: 'xterm', ...env } });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    return {
      child,
      text: () => text,
      exited: new Promise((resolve) => {
        child.once('exit', (code, signal) => resolve(code ?? signal));
      }),
    };
  }

  const frames = ({ text }: Terminal) => text().split('\u001b[H').slice(1);
  const LEFT = '\u001b[?25h\u001b[?1049l';

  test('draws frame after frame within its size, and gives the terminal back at q', async () => {
    const terminal = open();
    try {
      await eventually(async () => (frames(terminal).length >= 3 ? true : undefined));
      terminal.child.stdin?.write('q');
      expect(await terminal.exited).toBe(0);
    } finally {
      terminal.child.kill('SIGKILL');
    }
    expect(terminal.text().startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    expect(terminal.text().endsWith(LEFT)).toBe(true);
    const [first = ''] = frames(terminal);
    expect(first).toContain('\u001b[1mbeamline top\u001b[22m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what is tested
    const lines = first.replaceAll(/\u001b\[[\d;?]*[A-Za-z]/g, '').split(/\r+\n/);
    expect(lines.length).toBeLessThanOrEqual(24);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(lines.at(-1)).toBe('every 0.5 s; q ends');
  });

  test.each([
    ['Ctrl-C', ({ child }: Terminal) => child.stdin?.write('\u0003')],
    [
      'SIGTERM',
      ({ child }: Terminal) => {
        const [pid = -1] = childrenOf(child.pid ?? -1);
        process.kill(pid, 'SIGTERM');
      },
    ],
  ])('gives it back at %s, too; without colours where NO_COLOR is set', async (_, end) => {
    const terminal = open({ NO_COLOR: '1' });
    try {
      await eventually(async () => (frames(terminal).length >= 1 ? true : undefined));
      end(terminal);
      expect(await terminal.exited).toBe(0);
    } finally {
      terminal.child.kill('SIGKILL');
    }
    expect(terminal.text().endsWith(LEFT)).toBe(true);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what is tested
    expect(terminal.text()).not.toMatch(/\u001b\[\d+m/);
  });
});
