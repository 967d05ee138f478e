import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatProblem } from '../../src/dsl/problems';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { findSpecificationFolder, OWS_EXAMPLES_FOLDER } from '../folders';

/**
 * Lists the flows of a folder: valid, or the codes that they are refused with and what is behind each. A listing, not a
 * test: the exit code, which it returns, is 0 unless there is nothing to list.
 */
export function listExamples(folder = OWS_EXAMPLES_FOLDER): number {
  const what = "the specification's examples";
  const path = findSpecificationFolder(folder, { what, part: 'examples', option: '--examples' });
  if (path === undefined) return 0;
  const files = readdirSync(path).filter((file) => /\.(?:ya?ml|json)$/.test(file));
  if (files.length === 0) throw new Error(`${path}: got no flow, expected files .yaml, .yml or .json`);
  let refused = 0;
  for (const file of files.sort()) {
    const { problems } = validateFlowText(readFileSync(join(path, file), 'utf8'));
    if (problems.length > 0) refused += 1;
    const codes = [...new Set(problems.map(({ code }) => code))].sort();
    console.log([codes.join(' ') || 'valid', file].join('  '));
    for (const problem of problems) console.log(formatProblem(problem, '   ').replace(':', ' '));
  }
  console.log(`\n${files.length - refused} valid, ${refused} refused`);
  return 0;
}
