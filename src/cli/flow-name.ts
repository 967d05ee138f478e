import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseFlowReference } from '../dsl/catalog/references';
import type { Cli } from './cli';

/** True where an argument is `namespace/name:version` or `namespace/name`, and not a file that exists. */
export function isFlowName(argument: string, { cwd }: Cli): boolean {
  return !('problem' in parseFlowReference(argument)) && !existsSync(resolve(cwd, argument));
}
