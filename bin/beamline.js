#!/usr/bin/env node
'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

// Node looks names up on these threads, half of them at most. With its four, two names whose servers do not answer hold up
// every other look-up for 10 s and more: one tenant could keep all others from the network.
process.env.UV_THREADPOOL_SIZE ??= '64';

const root = join(__dirname, '..');
const main = join(root, 'dist', 'src', 'cli', 'main.js');

if (existsSync(main) && isInstalled()) {
  require(main);
} else {
  console.error(`beamline is not set up yet: run \`npm run setup\` in ${root}`);
  process.exitCode = 2;
}

/** The dependencies lie in the checkout, or beside the package where it is itself a dependency. */
function isInstalled() {
  try {
    require.resolve('commander', { paths: [root] });
    return true;
  } catch {
    return false;
  }
}
