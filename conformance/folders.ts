import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { EXAMPLES_FOLDER } from '../src/worker/package-files';

const ROOT = dirname(EXAMPLES_FOLDER);
const OWS = join(ROOT, '..', 'shared', 'ows');

/** The conformance test kit, where no other folder is named. */
export const KIT_FOLDER = join(OWS, 'ctk');

/** The specification's examples, where no other folder is named. */
export const OWS_EXAMPLES_FOLDER = join(OWS, 'examples');

/** The project's own cases of expressions, one file a language. */
export const EXPRESSION_SUITES_FOLDER = join(ROOT, 'test', 'expressions');

const SPECIFICATION = 'https://github.com/serverlessworkflow/specification';

/**
 * The absolute path of a part of the specification that is not part of this repository; undefined, and a line that says how
 * to get it, where it is not there.
 */
export function findSpecificationFolder(
  folder: string,
  { what, part, option }: { what: string; part: string; option: string },
): string | undefined {
  const path = resolve(folder);
  if (existsSync(path)) return path;
  console.log(`skipped: ${what}, there is no folder ${path}`);
  console.log(`To get it: git clone ${SPECIFICATION} && npm run conformance -- ${option} specification/${part}`);
  return undefined;
}
