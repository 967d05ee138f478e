const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { LISTS_AT_ONCE } = require('./lists-at-once.ts');

const COMPILED = join(__dirname, '..', '..', 'dist', 'temporal-dev');

/**
 * Starts one embedded Temporal for the whole run and names it in BEAMLINE_TEST_TEMPORAL_ADDRESS, unless that is set
 * already. Never fails: unit tests run without one too, and testTemporal() (temporal.ts) tells those that do not.
 */
module.exports = async function globalSetup() {
  if (process.env.BEAMLINE_TEST_TEMPORAL_ADDRESS) return;
  try {
    const server = await startServer();
    process.env.BEAMLINE_TEST_TEMPORAL_ADDRESS = server.address;
    process.env.BEAMLINE_TEST_TEMPORAL_NAMESPACE = server.namespace;
    globalThis.beamlineTestTemporal = server;
  } catch (error) {
    console.error(`tests: running without a Temporal server: ${error.message}`);
  }
};

async function startServer() {
  if (!existsSync(join(COMPILED, 'server.js'))) throw new Error('dist/ is missing; run `npm run setup -- --server`');
  const { findTemporal } = require(join(COMPILED, 'locate-temporal.js'));
  const { startTemporalServer } = require(join(COMPILED, 'server.js'));
  const log = (line) => console.error(`tests: ${line}`);
  // A download or a build is no matter of a test run: `npm test` has done it before, in setup.
  const cli = await findTemporal({ log, canInstall: false });
  return startTemporalServer({ cli, headless: true, log, dynamicConfig: LISTS_AT_ONCE });
}
