/**
 * Makes a fresh checkout ready, and does nothing where it is: node scripts/setup.mjs [--server] [--dev]
 *   --server  also find or make a Temporal command line tool
 *   --dev     also the servers that the tests of SQL and messaging want (scripts/install-test-servers.sh)
 * Needs nothing but Node and npm.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { BUILD_STAMP, DIST, hashBuildInputs, ROOT, readStamp } from './build-inputs.mjs';

const OLDEST_NODE = [20, 19];
const MODULES = join(ROOT, 'node_modules');
const SETUP_STAMP = join(MODULES, '.beamline-setup');
const LOCK_FILE = join(ROOT, 'package-lock.json');
const TEST_SERVERS = join(ROOT, 'scripts', 'install-test-servers.sh');
const KNOWN_FLAGS = ['--server', '--dev'];

/** Settings of the npm run around us (`npm test --omit=dev --silent`) that are not meant for the one inside. */
const SETTINGS_OF_THE_RUN = [
  ...['allow_scripts', 'dev', 'dry_run', 'global', 'global_prefix', 'include', 'include_workspace_root', 'json'],
  ...['local_prefix', 'location', 'loglevel', 'omit', 'only', 'package_lock_only', 'prefix', 'production', 'workspace'],
  'workspaces',
].map((name) => `npm_config_${name}`);

const flags = process.argv.slice(2);
const unknown = flags.filter((flag) => !KNOWN_FLAGS.includes(flag));
if (unknown.length > 0) fail(`unknown argument ${unknown.join(' ')}; expected ${KNOWN_FLAGS.join(', ')} or nothing`);

checkNode();
installDependencies();
build();
if (flags.includes('--server')) await findServer();
if (flags.includes('--dev')) installTestServers();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const [oldestMajor, oldestMinor] = OLDEST_NODE;
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  fail(
    `this is Node ${process.versions.node}; ${OLDEST_NODE.join('.')} or newer is needed. ` +
      'Install Node 22 or 24 (nodejs.org, or `nvm install 22`) and run the command again',
  );
}

function installDependencies() {
  const stamp = createHash('sha256').update(readFileSync(LOCK_FILE)).digest('hex');
  const wanted = `${stamp} node-abi-${process.versions.modules} ${process.platform}-${process.arch}`;
  if (existsSync(MODULES) && readStamp(SETUP_STAMP) === wanted) return;
  if (!isInstalledAlready()) {
    say('installing dependencies (npm ci; one to three minutes where SQLite has to be compiled)');
    const startedAt = Date.now();
    runNpm(['ci', '--include=dev', '--no-audit', '--no-fund']);
    if (!doesSqliteLoad()) runNpm(['rebuild', 'better-sqlite3', '--ignore-scripts=false']);
    if (!doesSqliteLoad()) fail('better-sqlite3 was installed but does not load; try `npm rebuild better-sqlite3`');
    say(`installed in ${Math.round((Date.now() - startedAt) / 1000)} s`);
  }
  writeFileSync(SETUP_STAMP, `${wanted}\n`);
}

/** True where somebody ran `npm ci` by hand: npm's own record says that all of the lock file is there. */
function isInstalledAlready() {
  const record = join(MODULES, '.package-lock.json');
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(LOCK_FILE, 'utf8')).packages).filter(([path]) => path !== '');
  const isThere = ([path, { version, optional }]) =>
    installed[path] === undefined ? optional === true : installed[path].version === version;
  return (
    wanted.every(isThere) && Object.keys(installed).every((path) => existsSync(join(ROOT, path))) && doesSqliteLoad()
  );
}

/** The one dependency that is compiled for this machine and this Node. */
function doesSqliteLoad() {
  const program = "new (require('better-sqlite3'))(':memory:').close()";
  return spawnSync(process.execPath, ['-e', program], { cwd: ROOT, env: ownEnvironment() }).status === 0;
}

function runNpm(args) {
  const npm = findNpm();
  const { status, error, stdout, stderr } = spawnSync(npm.command, [...npm.args, ...args], {
    cwd: ROOT,
    env: ownEnvironment(),
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    shell: npm.needsShell,
  });
  if (error === undefined && status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  const reason = error === undefined ? `ended with exit code ${status}` : `could not be started: ${error.message}`;
  fail(`npm ${args[0]} ${reason} (its output is above)`);
}

/** The npm that runs us, else the one that came with this Node, else the one on PATH. */
function findNpm() {
  const beside = dirname(process.execPath);
  const candidates = [
    process.env.npm_execpath,
    join(beside, 'node_modules', 'npm', 'bin', 'npm-cli.js'),
    join(beside, '..', 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js'),
  ];
  const script = candidates.find((file) => file?.endsWith('npm-cli.js') && existsSync(file));
  if (script !== undefined) return { command: process.execPath, args: [script], needsShell: false };
  return { command: 'npm', args: [], needsShell: process.platform === 'win32' };
}

/**
 * The environment without what the npm around us put there about its own run, and without NODE_ENV, since production
 * would leave the compiler out. What a user sets (registry, proxy, certificates, cache, ignore-scripts) stays.
 */
function ownEnvironment() {
  const isForeign = (name) =>
    name === 'node_env' || /^npm_(package|lifecycle|command)/.test(name) || SETTINGS_OF_THE_RUN.includes(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name.toLowerCase())));
}

function build() {
  if (readStamp(BUILD_STAMP) === hashBuildInputs()) return;
  say('building');
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'build.mjs')], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

async function findServer() {
  const { findTemporal } = createRequire(import.meta.url)(join(DIST, 'temporal-dev', 'locate-temporal.js'));
  try {
    await findTemporal({ log: say });
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error));
  }
}

function installTestServers() {
  if (process.platform === 'win32' || !existsSync(TEST_SERVERS)) return;
  const { status, error } = spawnSync('bash', [TEST_SERVERS], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) say(`scripts/install-test-servers.sh failed (${error?.message ?? `exit code ${status}`})`);
}

function say(line) {
  console.log(`setup: ${line}`);
}

function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}
