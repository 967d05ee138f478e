import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { shellWord } from './output';

/**
 * How to call this command from a folder, for hints that are copied: `npx beamline` only where npx finds ours, since
 * elsewhere it would ask the public registry for a package of that name.
 */
export function beamlineCommand(cwd: string, entry = process.argv[1] ?? 'beamline'): string {
  if (existsSync(join(cwd, 'node_modules', '.bin', 'beamline')) || isOwnPackage(cwd)) return 'npx beamline';
  return /(^|[\\/])beamline$/.test(entry) ? 'beamline' : `node ${shellWord(entry)}`;
}

function isOwnPackage(folder: string): boolean {
  try {
    return (
      (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name === 'beamline-worker'
    );
  } catch {
    // No package here, or none that can be read: npx would not find us in it.
    return false;
  }
}
