import { spawnSync } from 'node:child_process';

/** Whether bubblewrap is installed and allowed to make namespaces here; tests that need it are skipped by name where it is not. */
export const HAS_BUBBLEWRAP = spawnSync('bwrap', ['--ro-bind', '/', '/', '--unshare-all', 'true']).status === 0;
