import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder of the project, from wherever this file was compiled to. */
export function projectRoot(from: string = __dirname): string {
  const file = join(from, 'package.json');
  if (existsSync(file) && readFileSync(file, 'utf8').includes('"name": "beamline-worker"')) return from;
  if (dirname(from) === from) throw new Error('there is no package.json of the project above');
  return projectRoot(dirname(from));
}
