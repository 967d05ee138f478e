import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WORKER_OPTIONS } from '../../src/worker/options';
import { runCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

const COMMANDS = [
  'validate',
  'run',
  'deploy',
  'approvals',
  'token',
  'emit',
  'graph',
  'policy',
  'usage',
  'worker',
  'dev',
  'codec',
  'codec-server',
  'demo',
];
const GROUPED = [
  ...['list', 'show', 'approve', 'reject'].map((name) => ['approvals', name]),
  ...['keygen', 'show', 'seal'].map((name) => ['token', name]),
  ['deploy', 'list'],
  ['codec', 'keygen'],
  ...['check', 'show'].map((name) => ['policy', name]),
];

describe('beamline', () => {
  it('lists every command in its help', async () => {
    const { code, stdout, stderr } = await runCli(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} +\\w`, 'm'));
    expect(stdout).toContain('Exit codes: 0 done, 1 the flow failed, 2 bad usage or an invalid flow, 3 Temporal');
  });

  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8'));
    expect(await runCli(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([...COMMANDS.map((name) => [name]), ...GROUPED])('has examples in the help of %s %s', async (...words) => {
    const args = words.filter((word) => typeof word === 'string');
    const { code, stdout, stderr } = await runInProcess([...args, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: beamline ${args.join(' ')} `));
    expect(stdout).toMatch(new RegExp(`^Examples:\\n  \\$ beamline ${args.join(' ')}`, 'm'));
  });

  it('helps the same way with "help COMMAND"', async () => {
    expect((await runCli(['help', 'run'])).stdout).toBe((await runCli(['run', '--help'])).stdout);
  });

  it.each([
    [['wrok'], "unknown command 'wrok' (Did you mean work", '--help'],
    [['validate'], 'expected a flow document, or --catalog DIR', 'validate --help'],
    [['deploy'], "missing required argument 'flow'", 'deploy --help'],
    [['deploy', 'a.yaml', '--delete', '--paused'], "cannot be used with option '--paused'", 'deploy --help'],
    [['run', 'a.yaml', 'b.yaml'], 'too many arguments', 'run --help'],
    [['run', 'a.yaml', '--inptu', '1'], "unknown option '--inptu'", 'run --help'],
    [['run', 'a.yaml', '--priority', '6'], 'Expected a whole number from 1 (first) to 5 (last).', 'run --help'],
    [['run', 'a.yaml', '--timeout', '5m'], 'Got "5m", expected ISO 8601 such as PT30S', 'run --help'],
    [['schema', '--format', 'toml'], '--format: got "toml", expected json or yaml', 'schema --help'],
    [['graph'], 'expected a flow document, or --run with a workflow id', 'graph --help'],
    [
      ['approvals', 'approve', 'x'],
      'who decides? Expected --by NAME, or --token-file FILE',
      'approvals approve --help',
    ],
    [['approvals', 'list', '--limit', '0'], 'Expected a whole number from 1 to 1000.', 'approvals list --help'],
    [['policy', 'check'], "missing required argument 'file'", 'policy check --help'],
    [['policy', 'show', 'a.yaml', '--can', 'flow:start'], '--can needs --tenant', 'policy show --help'],
    [['policy', 'chek'], "unknown command 'chek' (Did you mean check?)", 'policy --help'],
    [['token', 'keygen'], "required option '--out <DIR>' not specified", 'token keygen --help'],
    [
      ['token', 'seal', '--for', 'x', '--flow', 'a/b:1.0.0', '--comment', 'hi'],
      '--comment: counts with --approval or with --dead-letter only, not for a start',
      'token seal --help',
    ],
    [
      ['token', 'seal', '--approval', 'x', '--decision', 'approved', '--tenant', 'acme'],
      '--tenant: counts for a start only, not with --approval',
      'token seal --help',
    ],
    [
      ['token', 'seal', '--for', 'x', '--flow', 'a/b:1.0.0', '--tenant', 'a b'],
      '--tenant: got "a b", expected 1 to 63 letters',
      'token seal --help',
    ],
    [
      ['token', 'seal', '--for', 'x', '--flow', '-', '--token-file', '-'],
      '- can be given only once',
      'token seal --help',
    ],
    [['codec', 'keygen', 'x'], 'too many arguments', 'codec keygen --help'],
    [['dev', '--port', '70000'], 'Expected a whole number from 1 to 65535.', 'dev --help'],
  ])('refuses %j as bad usage', async (args, detail, help) => {
    const { code, stdout, stderr } = await runInProcess(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(detail);
    expect(stderr).toMatch(/^error: .+ \[BLW_USAGE\]\n {2}See `beamline .*--help`\.\n$/);
    expect(stderr).toContain(`beamline ${help}`);
  });

  it.each([[[]], [['approvals']], [['policy']], [['token']], [['codec']]])(
    'prints the help on stderr for %j, which lacks a command',
    async (args) => {
      const { code, stdout, stderr } = await runInProcess(args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^Usage: beamline/);
    },
  );

  it('ends quietly when its reader goes away', async () => {
    const cli = startCli(['dev', '--help']);
    cli.child.stdout?.destroy();
    const { code, stderr } = await cli.exited;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('says how to set it up where it has not been built', () => {
    const folder = mkdtempSync(join(tmpdir(), 'beamline-bin-'));
    try {
      mkdirSync(join(folder, 'bin'));
      copyFileSync(join(__dirname, '..', '..', 'bin', 'beamline.js'), join(folder, 'bin', 'beamline.js'));
      const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bin', 'beamline.js')], {
        encoding: 'utf8',
      });
      expect({ status, stderr }).toEqual({
        status: 2,
        stderr: `beamline is not set up yet: run \`npm run setup\` in ${realpathSync(folder)}\n`,
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('writes no colours where it does not write to a terminal', async () => {
    const { stdout, stderr } = await runCli(['validate', 'missing.yaml']);
    expect(`${stdout}${stderr}`).not.toContain('\u001b');
  });
});

describe('the flags of beamline worker', () => {
  it('are those of the table, with environment names and defaults', async () => {
    const { stdout } = await runCli(['worker', '--help']);
    const help = stdout.replace(/\s+/g, ' ');
    for (const spec of WORKER_OPTIONS) {
      expect(help).toContain(`--${spec.name} <${spec.value}>`);
      if ('default' in spec) expect(help).toMatch(new RegExp(`env: BEAMLINE_[A-Z_]+; default: ${spec.default}`));
    }
    expect(help).toContain('(env: BEAMLINE_IO_POOL_SIZE; default: 16)');
  });

  it.each([
    [['--io-pool-size', 'many'], {}, '--io-pool-size: got "many", expected a whole number from 1 to 1000'],
    [['--pools', 'io,tpu'], {}, '--pools: got "io,tpu", expected one or more of io,cpu,gpu,sandbox'],
    [
      ['--prometheus-endpoint', 'here'],
      {},
      '--prometheus-endpoint: got "here", expected HOST:PORT, such as 127.0.0.1:9090',
    ],
    [['--database', 'nonsense'], {}, '--database: got no usable name'],
    [['--config', 'missing.yaml'], {}, '--config missing.yaml: cannot be read (ENOENT)'],
    [[], { BEAMLINE_CPU_POOL_SIZE: '0' }, '--cpu-pool-size: got "0", expected a whole number from 1 to 1000'],
    [[], { BEAMLINE_CONFIG: 'gone.yaml' }, '--config gone.yaml: cannot be read (ENOENT)'],
  ])('refuse %j with %j', async (args, env, detail) => {
    const { code, stderr } = await runCli(['worker', '--address', '127.0.0.1:1', ...args], { env });
    expect(code).toBe(2);
    expect(stderr).toContain(detail);
    expect(stderr).toContain('[BLW_CONFIG]');
  });
});
