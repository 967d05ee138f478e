/** Compiles src/, temporal-dev/ and conformance/ into dist/, then bundles the workflows. */
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { BUILD_STAMP, DIST, hashBuildInputs, listFiles, ROOT } from './build-inputs.mjs';

const require = createRequire(join(ROOT, 'package.json'));
const WORKFLOWS = join(DIST, 'src', 'workflows', 'index.js');
const BUNDLE_OPTIONS = join(DIST, 'src', 'worker', 'workflow-bundle-options.js');
const BUNDLE = join(DIST, 'workflow-bundle.js');

// Before compiling: what is edited meanwhile belongs to the next build.
const inputs = hashBuildInputs();
rmSync(BUILD_STAMP, { force: true });
compile();
removeStaleOutput();
await bundleWorkflows();
writeFileSync(BUILD_STAMP, `${inputs}\n`);

function compile() {
  const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(compiler)) fail('build: node_modules is missing; run `npm run setup`');
  const { status, error } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.json'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (error !== undefined) fail(`build: the compiler could not be started: ${error.message}`);
  if (status !== 0) fail('build: the sources do not compile (above)');
}

/**
 * Output whose source is gone. The rest of dist/ is overwritten in place, not removed first, so that a process that
 * runs from it meanwhile finds its files.
 */
function removeStaleOutput() {
  for (const folder of ['src', 'temporal-dev', 'conformance']) {
    for (const file of listFiles(join(DIST, folder))) {
      const source = join(ROOT, relative(DIST, file).replace(/(\.d\.ts|\.js|\.js\.map)$/, '.ts'));
      if (!existsSync(source)) rmSync(file);
    }
  }
}

async function bundleWorkflows() {
  if (!existsSync(WORKFLOWS)) {
    console.log('build: no src/workflows/index.ts yet; nothing to bundle');
    rmSync(BUNDLE, { force: true });
    return;
  }
  const { bundleWorkflowCode, DefaultLogger } = require('@temporalio/worker');
  const { asciiOf, workflowBundleOptions } = require(BUNDLE_OPTIONS);
  const options = { logger: new DefaultLogger('WARN'), ...workflowBundleOptions() };
  try {
    const { code } = await bundleWorkflowCode(options);
    writeFileSync(`${BUNDLE}.new`, asciiOf(code));
    renameSync(`${BUNDLE}.new`, BUNDLE);
  } catch (error) {
    fail(`build: the workflows could not be bundled: ${error instanceof Error ? error.message : error}`);
  }
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
