import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const SCRIPT = join(__dirname, '..', '..', 'scripts', 'check-imports.mjs');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The offences in a project that has exactly these files. */
function check(files: Record<string, string>): { offences: string[]; exitCode: number | null } {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const { stderr, status } = spawnSync(process.execPath, [SCRIPT, folder], { encoding: 'utf8' });
  const offences = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('check-imports:'));
  return { offences, exitCode: status };
}

test.each<[string, string, string]>([
  ['src/dsl/a.ts', "import { b } from '../activities/b';", 'src/dsl/a.ts:1: dsl may not import src/activities/b'],
  ['src/dsl/a.ts', "import type { b } from '../cli/b';", 'src/dsl/a.ts:1: dsl may not import src/cli/b'],
  [
    'src/workflows/a.ts',
    "import { b } from '../worker/b';",
    'src/workflows/a.ts:1: workflows may not import src/worker/b',
  ],
  ['src/workflows/a.ts', "import { z } from 'zod';", 'src/workflows/a.ts:1: workflows may not import the package zod'],
  [
    'src/activities/a.ts',
    "export * from '../workflows/b';",
    'src/activities/a.ts:1: activities may not import src/workflows/b',
  ],
  [
    'src/activities/a.ts',
    "const b = await import('../worker/b');",
    'src/activities/a.ts:1: activities may not import src/worker/b',
  ],
  ['src/worker/a.ts', "\nimport {\n  b,\n} from '../cli/b';", 'src/worker/a.ts:2: worker may not import src/cli/b'],
  [
    'src/activities/a.ts',
    "import '../../temporal-dev/server';",
    'src/activities/a.ts:1: activities may not import temporal-dev/server',
  ],
  ['src/index.ts', "import './../temporal-dev/server';", 'src/index.ts:1: src may not import temporal-dev/server'],
  ['src/cli/a.ts', "import '../../conformance/b';", 'src/cli/a.ts:1: cli may not import conformance/b'],
  [
    'temporal-dev/a.ts',
    "import { b } from '../src/dsl/start';",
    'temporal-dev/a.ts:1: temporal-dev may not import src/dsl/start',
  ],
  [
    'temporal-dev/a.ts',
    "import pino from 'pino';",
    'temporal-dev/a.ts:1: temporal-dev may not import the package pino',
  ],
])('finds in %s: %s', (file, text, offence) => {
  expect(check({ [file]: text })).toEqual({ offences: [offence], exitCode: 1 });
});

test.each<[string, string]>([
  ['node:fs', "import { readFileSync } from 'node:fs';"],
  ['crypto', "import * as crypto from 'crypto';"],
  ['yaml', "import { parse } from 'yaml';"],
  ['ajv/dist/2020', "import Ajv from 'ajv/dist/2020';"],
])('finds %s where workflow code reaches it through dsl', (specifier, text) => {
  const { offences } = check({
    'src/workflows/index.ts': "import { b } from '../dsl/b';",
    'src/dsl/b.ts': "export { c } from './c';",
    'src/dsl/c.ts': `// why\n${text}`,
  });
  expect(offences).toEqual([
    `src/dsl/c.ts:2: ${specifier} cannot be used by workflow code, which reaches this file ` +
      '(src/workflows/index.ts > src/dsl/b.ts > src/dsl/c.ts)',
  ]);
});

test('lets pass what the architecture allows', () => {
  const { offences, exitCode } = check({
    'src/dsl/parse.ts': "import { parse } from 'yaml';\nimport { b } from './b';",
    'src/dsl/b.ts':
      "import { evaluate } from '@marcbachmann/cel-js';\n// import { x } from '../cli/x';\n * import('../cli/x')",
    // Types leave nothing behind in the bundle.
    'src/workflows/index.ts':
      "import { sleep } from '@temporalio/workflow';\nimport { b } from '../dsl/b';\nimport type { P } from '../dsl/parse';\nimport { type Q, type R } from '../dsl/parse';",
    'src/activities/a.ts': "import { readFile } from 'node:fs/promises';\nimport { b } from '../dsl/b';",
    'src/worker/a.ts':
      "import { a } from '../activities/a';\nimport { startTemporalServer } from '../../temporal-dev/server';",
    'src/cli/a.ts':
      "import { a } from '../worker/a';\nimport { startTemporalServer } from '../../temporal-dev/server';",
    'temporal-dev/server.ts':
      "import { spawn } from 'node:child_process';\nimport { flowError } from '../src/dsl/errors';",
  });
  expect({ offences, exitCode }).toEqual({ offences: [], exitCode: 0 });
});
