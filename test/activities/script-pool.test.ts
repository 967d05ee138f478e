import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAnswerStep } from '../../src/activities/sandbox/answer-step';
import { findIsolation, type IsolationMode } from '../../src/activities/script/isolation';
import { requireScriptPool } from '../../src/activities/script/script-job';
import { ScriptPool, type ScriptPoolOptions } from '../../src/activities/script/script-pool';
import { StepMeter } from '../../src/activities/step-meter';
import type { DryStep } from '../../src/dsl/dry-run/dry-run';
import type { Json, JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';
import { HAS_BUBBLEWRAP } from '../helpers/bubblewrap';
import { type Compiled, compileSources } from '../helpers/compiled';

const MIB = 1_048_576;

const itIsolated = HAS_BUBBLEWRAP ? it : it.skip;

let compiled: Compiled;
let entry: string;
let folder: string;
const pools: ScriptPool[] = [];

beforeAll(() => {
  compiled = compileSources();
  entry = compiled.path('src/activities/script/child/child-main.js');
  folder = mkdtempSync(join(tmpdir(), 'beamline-scripts-'));
});
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});
afterAll(() => {
  compiled.remove();
  rmSync(folder, { recursive: true, force: true });
});

function poolOf(options: Partial<ScriptPoolOptions> = {}) {
  const pool = new ScriptPool({ entry, memoryMb: 64, isolation: 'off', ...options });
  pools.push(pool);
  return pool;
}

/** What `body` puts out runs in the place of the project's own child; `answer(end)` is what it answers with. */
function planted(name: string, body: string): string {
  const file = join(folder, `${name}.js`);
  writeFileSync(
    file,
    `const answer = (end, more = {}) => process.stdout.write(JSON.stringify({ end, cpuMs: 1, peakMemoryBytes: 1, ...more }) + '\\n');
     const giving = (value) => answer({ kind: 'returned', value: JSON.stringify(value) });
     process.stdout.write('ready\\n');
     process.stdin.once('data', async () => { ${body} });`,
  );
  return file;
}

const run = (pool: ScriptPool, code: string, more: JsonObject = {}): Promise<Json> =>
  pool.run({ code, ...more }, makeContext({}));

describe('a script as a function', () => {
  it('gets its input and gives what it returns', async () => {
    const pool = poolOf();
    expect(await run(pool, 'return { sum: input.a + input.b, text: `${input.a}` }', { input: { a: 1, b: 2 } })).toEqual(
      {
        sum: 3,
        text: '1',
      },
    );
    expect(await run(pool, 'await null; return input')).toBeNull();
    expect(await run(pool, '')).toBeNull();
  });

  it('says the name, the message and the line of what it threw, and what it printed before', async () => {
    const { data } = await failureOf(
      run(poolOf(), "console.log('before');\nconst fail = () => {\n  throw new RangeError('no');\n};\nfail();"),
    );
    expect(data).toMatchObject({
      code: 'BLW_SCRIPT_FAILED',
      detail: 'script.run: the script threw RangeError: no (line 3)',
      data: { name: 'RangeError', message: 'no', line: 3, stdout: 'before\n' },
    });
  });

  it.each([
    ['lists that are written as null', 'Array.prototype.toJSON = () => null;', 'Error: no'],
    ['lists of what is no text', 'Array.prototype.toJSON = () => [{}, {}, {}];', 'Error: no'],
    ['texts that are not cut', 'String.prototype.slice = function () { return this; };', `Error: ${'x'.repeat(1_000)}`],
    ['errors that are none', 'Error.prototype.toString = Error[Symbol.hasInstance] = () => { throw 1; };', 'Error: no'],
    ['texts that are none', 'globalThis.String = JSON.stringify = () => ({ a: 1 });', 'Error: no'],
  ])('fails once and says so in bounds, also with %s', async (_, change, message) => {
    const text = message.endsWith('x') ? "'x'.repeat(66000)" : "'no'";
    const failure = await failureOf(run(poolOf(), `${change}\nthrow new Error(${text})`));
    expect(failure.options.retryable).toBe(false);
    expect(failure.data).toMatchObject({
      code: 'BLW_SCRIPT_FAILED',
      detail: `script.run: the script threw ${message} (line 2)`,
    });
  });

  it.each([
    ['return 12; }) ; (function(){ return 13', 'the end of a function'],
    ['return 1 }, globalThis, function(){', 'the end of a method and of a function'],
    ['return 1 }, async other() { return 2', 'the end of a method'],
    ['return 1 }; async function other() { return 2', 'the end of a declaration'],
  ])('does not compile %j, which has %s', async (code) => {
    expect((await failureOf(run(poolOf(), code))).data.code).toBe('BLW_SCRIPT_SYNTAX');
  });

  it('keeps what it printed, however it ends', async () => {
    const pool = poolOf({ memoryMb: 32 });
    const ends: readonly (readonly [string, string])[] = [
      ['for (;;);', 'BLW_SCRIPT_TIMEOUT'],
      ['const loop = () => Promise.resolve().then(loop); return loop();', 'BLW_SCRIPT_MEMORY'],
      [
        'const all = []; all.push([]); const loop = () => { all.push([]); return Promise.resolve().then(loop); }; loop(); return new Promise(() => {});',
        'BLW_SCRIPT_MEMORY',
      ],
      ['return new Promise(() => {});', 'BLW_SCRIPT_FAILED'],
      ["for (;;) console.error('x'.repeat(1e5));", 'BLW_SCRIPT_OUTPUT'],
    ];
    for (const [code, expected] of ends) {
      const timeout = expected === 'BLW_SCRIPT_TIMEOUT' ? 'PT0.2S' : 'PT1M';
      const { data } = await failureOf(run(pool, `console.log('before');\n${code}`, { timeout }));
      expect(data).toMatchObject({ code: expected, data: { stdout: 'before\n' } });
    }
  });

  it('says of what is Node’s that it is not there, and what is instead', async () => {
    const { data } = await failureOf(run(poolOf(), 'setTimeout(() => 1)'));
    expect(data.detail).toBe(
      "script.run: the script threw ReferenceError: 'setTimeout' is not defined: scripts have no timers (line 1)",
    );
  });

  it('says where its text is wrong', async () => {
    const { data } = await failureOf(run(poolOf(), 'let a = 1;\nreturn a +* 2;'));
    expect(data).toMatchObject({ code: 'BLW_SCRIPT_SYNTAX', data: { name: 'SyntaxError', line: 2 } });
  });

  it.each([
    [{ timeout: 'PT6M' }, 'BLW_ARG_INVALID', 'at most 5 minutes'],
    [{ timeout: 'PT0S' }, 'BLW_ARG_INVALID', 'more than nothing'],
    [{ timeout: 'soon' }, 'BLW_ARG_INVALID', 'timeout:'],
    [{ input: 1, process: {} }, 'BLW_ARG_INVALID', 'a process has none'],
    [{ input: 'x'.repeat(4 * MIB) }, 'BLW_SCRIPT_OUTPUT', 'input: got 4194306 bytes, at most 4194304'],
    [{ process: { stdin: 'x'.repeat(MIB + 1) } }, 'BLW_SCRIPT_OUTPUT', 'stdin: got 1048577 bytes'],
  ] as const)('refuses %j with %s', async (more, code, message) => {
    const failure = await failureOf(run(poolOf(), 'return 1', more as unknown as JsonObject));
    expect(failure.data).toMatchObject({ code, detail: expect.stringContaining(message) });
    expect(failure.options.retryable).toBe(false);
  });
});

describe('a script as a process', () => {
  const CODE = `import { readFileSync } from 'node:fs';
import process, { argv } from 'node:process';
const [, , first, second] = argv;
console.log(readFileSync(process.stdin.fd, 'utf8'), first, second, process.env.foo);
console.error('to stderr');
process.exitCode = 3;`;
  const given = { stdin: { a: 1 }, arguments: ['one', 2], environment: { foo: true } };
  const stdout = '{"a":1} one 2 true\n';

  it.each([
    ['all', { code: 3, stdout, stderr: 'to stderr\n' }],
    ['code', 3],
  ] as const)('gives %s whatever its exit code', async (kind, output) => {
    expect(await run(poolOf(), CODE, { process: { ...given, return: kind } })).toEqual(output);
  });

  it.each([
    ['stdout', stdout],
    ['stderr', 'to stderr\n'],
    ['none', null],
  ] as const)('gives %s where it ends well', async (kind, output) => {
    const code = CODE.replace('process.exitCode = 3;', '');
    expect(await run(poolOf(), code, { process: { ...given, return: kind } })).toEqual(output);
  });

  it('fails with another exit code than 0 where that is not asked for', async () => {
    const { data } = await failureOf(run(poolOf(), CODE, { process: given }));
    expect(data).toMatchObject({
      code: 'BLW_SCRIPT_FAILED',
      detail: 'script.run: the script ended with exit code 3: to stderr',
      data: { code: 3, stdout, stderr: 'to stderr\n' },
    });
  });

  it('has 1 for an exit code and its error on stderr where it throws', async () => {
    const code = "console.log('a');\nthrow new TypeError('no');";
    const output = await run(poolOf(), code, { process: { return: 'all' } });
    expect(output).toEqual({
      code: 1,
      stdout: 'a\n',
      stderr: expect.stringMatching(/^TypeError: no\n.*script\.js:2:/s),
    });
    const { data } = await failureOf(run(poolOf(), code, { process: {} }));
    expect(data).toMatchObject({ code: 'BLW_SCRIPT_FAILED', data: { name: 'TypeError', message: 'no', line: 2 } });
  });
});

describe('what a process finds', () => {
  const shown = async (code: string, stdin = ''): Promise<Json> =>
    run(poolOf(), code, { process: { stdin, return: 'all' } });

  it('is its standard input, read piece by piece, and some of what scripts use', async () => {
    const code =
      "let text = ''; for await (const part of process.stdin.setEncoding('utf8')) text += part; console.log(text, process.cwd()); console.table([1]);";
    expect(await shown(code, 'in')).toEqual({ code: 0, stdout: 'in /\n[1]\n', stderr: '' });
  });

  it.each([
    ['process.exit("3")', 3],
    ['process.exit(300)', 44],
    ['process.exitCode = 4', 4],
    ['process.exitCode = 4; process.exit()', 4],
    ['process.exit("x")', 1],
    ['process.exitCode = {}', 1],
    ['process.exit(1.5)', 1],
  ])('ends with the code that %s gives', async (code, expected) => {
    expect(await shown(code)).toMatchObject({ code: expected });
  });

  it('has the positions of its text', async () => {
    expect(await shown('throw new RangeError("no")')).toMatchObject({
      stderr: expect.stringContaining('script.js:1:21'),
    });
    const { data } = await failureOf(run(poolOf(), "\nimport net from 'node:net';", { process: {} }));
    expect(data.detail).toBe(
      'script.run: the script threw Error: there is no module "net": scripts can import node:fs and node:process (line 2)',
    );
  });
});

describe('the pool', () => {
  it('gives each script a process of its own, that nothing has run in', async () => {
    const pool = poolOf();
    for (let round = 0; round < 3; round += 1) {
      expect(await run(pool, 'const seen = globalThis.seen; globalThis.seen = 1; return seen ?? "new"')).toBe('new');
    }
    await pool.warmUp();
    // The last script's process ends soon after it.
    while (pool.pids().length > 2) await new Promise(setImmediate);
    const spare = pool.pids();
    expect(spare).toHaveLength(2);
    await run(pool, 'return 1');
    // Its process ends with it.
    while (pool.pids().includes(spare[0] ?? 0)) await new Promise(setImmediate);
  });

  it('ends a script that is cancelled, and throws what it was cancelled with', async () => {
    const pool = poolOf();
    const abort = new AbortController();
    const running = pool.run({ code: 'for (;;);', timeout: 'PT1M' }, makeContext({}, { signal: abort.signal }));
    setTimeout(() => abort.abort(new Error('enough')), 300);
    await expect(running).rejects.toThrow('enough');
  });

  it('ends a script at the deadline of its step, to be run again', async () => {
    const context = makeContext({}, { timeoutMs: 400 });
    const failure = await failureOf(poolOf().run({ code: 'for (;;);', timeout: 'PT1M' }, context));
    expect(failure.data.code).toBe('BLW_STEP_TIMEOUT');
    expect(failure.options.retryable).toBe(true);
  });

  it('ends what runs when it is closed, to be run again, and leaves no process and no folder', async () => {
    const pool = poolOf();
    await pool.warmUp();
    const running = failureOf(pool.run({ code: 'for (;;);', timeout: 'PT1M' }, makeContext({})));
    await pool.warmUp();
    const pids = pool.pids();
    expect(pids.length).toBeGreaterThan(1);
    const folders = pids.map((pid) => readlinkSync(`/proc/${pid}/cwd`));
    await pool.close();
    const failure = await running;
    expect([failure.data.code, failure.options.retryable]).toEqual(['BLW_BLOCK_CRASHED', true]);
    expect(pool.pids()).toEqual([]);
    expect(folders.filter((place) => existsSync(place))).toEqual([]);
  });

  it('holds a script to the memory of its tenant', async () => {
    const pool = poolOf({ memoryMb: 256 });
    const code = 'return new Uint8Array(60e6).fill(1).length';
    expect(await run(pool, code)).toBe(60_000_000);
    const { data } = await failureOf(pool.run({ code }, makeContext({}, { step: { memoryMb: 32 } })));
    expect(data).toMatchObject({ code: 'BLW_SCRIPT_MEMORY', detail: expect.stringContaining('32 MiB') });
  });

  it('counts the CPU time and the memory of a script as its step’s', async () => {
    const meter = new StepMeter();
    const code = 'const a = new Uint8Array(4e7).fill(1); let n = 0; for (let i = 0; i < 2e6; i++) n += i; return n';
    await meter.run(() => run(poolOf(), code));
    expect(meter.cpuMs).toBeGreaterThan(20);
    expect(meter.peakMemoryBytes).toBeGreaterThan(80e6);
    const stopped = new StepMeter();
    await failureOf(stopped.run(() => run(poolOf(), 'for (;;);', { timeout: 'PT0.3S' })));
    expect(stopped.cpuMs).toBeGreaterThanOrEqual(250);
  });
});

describe('isolation', () => {
  /** Puts a program of that name where `folder` is searched, for one test. */
  const plantBubblewrap = (body: string) =>
    writeFileSync(join(folder, 'bwrap'), `#!/bin/sh\nexport PATH=/usr/bin:/bin\n${body}\n`, { mode: 0o755 });
  afterEach(() => rmSync(join(folder, 'bwrap'), { force: true }));

  it('refuses scripts where it is required and missing, to be tried elsewhere, and says why', async () => {
    const pool = poolOf({ isolation: 'required', path: folder });
    const failure = await failureOf(run(pool, 'return 1'));
    expect(failure.options.retryable).toBe(true);
    expect(failure.data).toMatchObject({
      code: 'BLW_SCRIPT_ISOLATION',
      detail: expect.stringContaining('bubblewrap is not installed'),
    });
  });

  it('refuses them in the sandbox, too', async () => {
    const pool = poolOf({ isolation: 'required', path: folder });
    const answer = createAnswerStep((args, context) => pool.run(args, context));
    const dry = (more: Partial<DryStep>) =>
      answer('script.run', { code: 'return 1' }, makeContext({}, { step: { dryRun: { resources: 'cpu', ...more } } }));
    expect((await failureOf(dry({}))).data.code).toBe('BLW_SCRIPT_ISOLATION');
    expect(await dry({ answers: [{ output: 2 }] })).toBe(2);
    expect((await failureOf(dry({ resources: 'io' }))).data.code).toBe('BLW_UNSUPPORTED');
  });

  it.each(['io', 'gpu'] as const)('is for the pool cpu: refuses scripts in the pool %s', (resources) => {
    expect(() => requireScriptPool('cpu')).not.toThrow();
    expect(() => requireScriptPool(resources)).toThrow(`the pool cpu only, and this step is for ${resources}`);
  });

  it('does without where it is missing and not required', async () => {
    const pool = poolOf({ isolation: 'auto', path: folder });
    expect(await pool.isolation()).toMatchObject({ kind: 'none' });
    expect(await run(pool, 'return 1')).toBe(1);
  });

  it('ends a process also where bubblewrap hangs and does not say whom it has started', async () => {
    plantBubblewrap('case "$*" in *--version) echo v1;; *) sleep 1000;; esac');
    const pool = poolOf({ isolation: 'auto', path: folder });
    const failure = await failureOf(pool.run({ code: 'return 1' }, makeContext({}, { timeoutMs: 200 })));
    expect(failure.data.code).toBe('BLW_STEP_TIMEOUT');
    await pool.close();
    expect(pool.pids()).toEqual([]);
  });

  itIsolated.each(['auto', 'required'] as const)(
    'with %s tries again what did not work when it was tried, and tells of it',
    async (isolation) => {
      const once = join(folder, `failed-${isolation}`);
      const real = execFileSync('/bin/sh', ['-c', 'command -v bwrap'], { encoding: 'utf8' }).trim();
      plantBubblewrap(
        `if [ ! -e ${once} ]; then : >${once}; echo 'fork: Resource temporarily unavailable' >&2; exit 1; fi\nexec ${real} "$@"`,
      );
      const told: string[] = [];
      const pool = poolOf({ isolation, path: folder, onIsolation: ({ kind }) => told.push(kind) });
      expect(await pool.isolation()).toMatchObject({ mayChange: true });
      expect(await run(pool, 'return 1')).toBe(1);
      expect(told).toEqual([isolation === 'auto' ? 'none' : 'missing', 'bubblewrap']);
    },
  );

  it('does not try again what the system denies', async () => {
    plantBubblewrap('echo "bwrap: No permissions to create new namespace" >&2; exit 1');
    expect(await findIsolation('auto', folder)).toEqual({
      kind: 'none',
      why: 'bubblewrap does not work here: bwrap: No permissions to create new namespace',
    });
  });

  itIsolated('does without what an older bubblewrap does not have', async () => {
    const real = execFileSync('/bin/sh', ['-c', 'command -v bwrap'], { encoding: 'utf8' }).trim();
    plantBubblewrap(
      `case "$*" in *--disable-userns*) echo 'bwrap: Unknown option --disable-userns' >&2; exit 1;; esac\nexec ${real} "$@"`,
    );
    expect(await findIsolation('auto', folder)).toMatchObject({ kind: 'bubblewrap', flags: [] });
    expect(await findIsolation('auto')).toMatchObject({ kind: 'bubblewrap' });
  });

  it('finds out that a program of that name does not isolate', async () => {
    plantBubblewrap('echo "no namespaces here" >&2; exit 1');
    expect(await findIsolation('required', folder)).toEqual({
      kind: 'missing',
      why: 'bubblewrap does not work here: no namespaces here',
      mayChange: true,
    });
  });
});

/** What a process of another's code can do: the child is replaced by one that tries. */
const TRY_ALL = `
  const fs = require('fs');
  const tried = (work) => { try { return String(work()); } catch (error) { return 'refused ' + (error.code ?? error.name); } };
  const connected = (port, host) => new Promise((resolve) => {
    try {
      const socket = require('net').connect({ port, host });
      socket.once('connect', () => resolve('connected')).once('error', (error) => resolve('refused ' + error.code));
    } catch (error) { resolve('refused ' + error.code); }
  });
  giving({
    environment: Object.keys(process.env).filter((name) => name !== 'PWD').join(),
    passwd: tried(() => fs.readFileSync('/etc/passwd', 'utf8').length),
    environ: tried(() => fs.readFileSync('/proc/self/environ', 'utf8')),
    cwd: tried(() => fs.readdirSync('.').length),
    write: tried(() => fs.writeFileSync('x', 'x')),
    tmp: tried(() => fs.writeFileSync('/tmp/beamline-escaped', 'x')),
    spawn: tried(() => require('child_process').spawnSync('/bin/sh', ['-c', 'id']).error?.code ?? 'ran'),
    fork: tried(() => require('child_process').fork(__filename)),
    thread: tried(() => new (require('worker_threads').Worker)('1', { eval: true })),
    evaluated: tried(() => new Function('return 1')()),
    kill: tried(() => process.kill(process.ppid === 0 ? 4 : process.ppid, 0)),
    user: process.getuid(),
    network: await connected(PORT, '127.0.0.1'),
  });`;

describe('a process whose own code is hostile', () => {
  let server: Server;
  beforeAll(async () => {
    server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => server.close());

  const tryAll = async (isolation: IsolationMode): Promise<JsonObject> => {
    const { port } = server.address() as AddressInfo;
    const child = planted(`try-all-${isolation}`, TRY_ALL.replace('PORT', String(port)));
    return (await run(poolOf({ isolation, entry: child }), 'return 1')) as JsonObject;
  };

  it('has no environment, files, processes, threads or code from text, also without bubblewrap', async () => {
    expect(await tryAll('off')).toMatchObject({
      environment: '',
      passwd: 'refused ERR_ACCESS_DENIED',
      environ: 'refused ERR_ACCESS_DENIED',
      cwd: 'refused ERR_ACCESS_DENIED',
      write: 'refused ERR_ACCESS_DENIED',
      tmp: 'refused ERR_ACCESS_DENIED',
      spawn: 'refused ERR_ACCESS_DENIED',
      fork: 'refused ERR_ACCESS_DENIED',
      thread: 'refused ERR_ACCESS_DENIED',
      evaluated: 'refused EvalError',
    });
  });

  itIsolated('has with bubblewrap no network, no user and no other process either', async () => {
    expect(await tryAll('auto')).toMatchObject({
      environment: '',
      passwd: expect.stringContaining('refused'),
      write: expect.stringContaining('refused'),
      kill: 'refused ESRCH',
      user: 65_534,
      network: expect.stringContaining('refused'),
    });
  });

  it.each([
    ['no answer but an end', 'process.exit(0)', 'BLW_BLOCK_CRASHED'],
    ['an error', "throw new Error('x')", 'BLW_BLOCK_CRASHED'],
    ['its own death', 'process.abort()', 'BLW_BLOCK_CRASHED'],
    ['no JSON', "process.stdout.write('{\\n')", 'BLW_BLOCK_CRASHED'],
    ['an unknown end', "answer({ kind: 'won' })", 'BLW_BLOCK_CRASHED'],
    ['a value that is no text', "answer({ kind: 'returned', value: { a: 1 } })", 'BLW_BLOCK_CRASHED'],
    ['a value that is no JSON', "answer({ kind: 'returned', value: '{' })", 'BLW_SCRIPT_OUTPUT'],
    [
      'a value nested deeply',
      "answer({ kind: 'returned', value: '['.repeat(5e5) + ']'.repeat(5e5) })",
      'BLW_SCRIPT_OUTPUT',
    ],
    ['a nested answer', "process.stdout.write('['.repeat(1e6) + '\\n')", 'BLW_BLOCK_CRASHED'],
    ['amounts that are none', "answer({ kind: 'returned', value: '1' }, { cpuMs: -1e9 })", 'BLW_BLOCK_CRASHED'],
    ['an exit code that is none', "answer({ kind: 'exited', code: 'x', stdout: '', stderr: '' })", 'BLW_BLOCK_CRASHED'],
    [
      'an error of another shape',
      "answer({ kind: 'threw', error: null, stdout: '', stderr: '' })",
      'BLW_BLOCK_CRASHED',
    ],
    [
      'a flood',
      "const part = 'x'.repeat(1e6); const more = () => process.stdout.write(part, more); more();",
      'BLW_SCRIPT_OUTPUT',
    ],
    [
      'a flood on standard error',
      "for (let i = 0; i < 500; i++) process.stderr.write('x'.repeat(1e5)); setTimeout(() => process.exit(7), 100)",
      'BLW_BLOCK_CRASHED',
    ],
    ['all its memory', 'const a = []; for (;;) a.push(Buffer.alloc(1 << 20, 1));', 'BLW_SCRIPT_MEMORY'],
    ['all its heap', 'const a = []; for (;;) a.push({ a });', 'BLW_SCRIPT_MEMORY'],
    ['an endless loop', 'for (;;);', 'BLW_SCRIPT_TIMEOUT'],
  ])('answers with %s: is ended, and says nothing of the machine', async (name, body, code) => {
    const child = planted(name.replace(/\W+/g, '-'), body);
    const meter = new StepMeter();
    const failure = await failureOf(
      meter.run(() =>
        run(poolOf({ entry: child }), 'return 1', { timeout: name === 'an endless loop' ? 'PT0.5S' : 'PT10S' }),
      ),
    );
    expect(failure.data.code).toBe(code);
    expect(JSON.stringify(failure.data)).not.toContain(folder);
    expect(meter.peakMemoryBytes).toBeLessThan((64 + 256 + 100) * MIB);
  });

  it('says nothing before it is ready but that it is', async () => {
    const file = join(folder, 'early.js');
    writeFileSync(file, "process.stdout.write('hello\\n'); process.stdin.resume();");
    const { data, options } = await failureOf(run(poolOf({ entry: file }), 'return 1'));
    expect(data).toMatchObject({ code: 'BLW_BLOCK_CRASHED', detail: expect.stringContaining('did not start') });
    expect(options.retryable).toBe(true);
  });

  it('has a limit for its start, with an error that says so', async () => {
    const file = join(folder, 'never.js');
    writeFileSync(file, 'process.stdin.resume();');
    const failure = await failureOf(run(poolOf({ entry: file, readyMs: 50 }), 'return 1'));
    expect(failure.data).toMatchObject({ code: 'BLW_BLOCK_CRASHED', detail: expect.stringContaining('did not start') });
    expect(failure.options.retryable).toBe(true);
  });

  it('cannot charge more than its time and its memory', async () => {
    const child = planted(
      'greedy',
      `answer({ kind: 'returned', value: '1' }, { cpuMs: 1e308, peakMemoryBytes: 1e308 })`,
    );
    const meter = new StepMeter();
    await meter.run(() => run(poolOf({ entry: child }), 'return 1'));
    expect(meter.cpuMs).toBeLessThan(60_000 * availableParallelism());
    expect(meter.peakMemoryBytes).toBeLessThan(1e10);
  });

  it('cannot answer with a prototype', async () => {
    const child = planted('prototype', `answer({ kind: 'returned', value: '{"__proto__":{"polluted":1}}' })`);
    const output = (await run(poolOf({ entry: child }), 'return 1')) as JsonObject;
    expect(Object.keys(output)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(output)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
  });
});

describe('what the system says of a process', () => {
  const look = async (isolation: IsolationMode) => {
    const pool = poolOf({ isolation });
    await pool.warmUp();
    const [pid = 0] = pool.pids();
    const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8');
    const limit = (name: string) => new RegExp(`^${name} +(\\S+)`, 'm').exec(read('limits'))?.[1];
    return { pid, read, limit };
  };

  it('has limits of data, CPU time, files and descriptors, and an empty environment', async () => {
    const { read, limit } = await look('off');
    expect(read('environ')).toBe('');
    expect(
      ['Max data size', 'Max cpu time', 'Max file size', 'Max core file size', 'Max open files'].map(limit),
    ).toEqual([String((64 + 256) * MIB), '330', '0', '0', '64']);
  });

  itIsolated('has with bubblewrap namespaces of its own, no capability and no way to more', async () => {
    const { pid, read, limit } = await look('auto');
    expect(read('environ').replaceAll('\0', '')).toBe('PWD=/work');
    expect(limit('Max data size')).toBe(String((64 + 256) * MIB));
    for (const kind of ['net', 'pid', 'mnt', 'ipc', 'uts', 'user']) {
      expect(readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(readlinkSync(`/proc/self/ns/${kind}`));
    }
    expect(read('status')).toMatch(/^CapEff:\t0+$/m);
    expect(read('status')).toMatch(/^NoNewPrivs:\t1$/m);
    // One line of names and no connection.
    expect(read('net/tcp').trim().split('\n')).toHaveLength(1);
    expect(read('mounts')).not.toMatch(/ rw[ ,]/);
  });
});
