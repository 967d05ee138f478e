import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import SqliteDatabase from 'better-sqlite3';
import type { Fault } from './fault';
import type { World } from './world';

const needsDisk = ({ isDiskSmall }: World): string | undefined =>
  isDiskSmall ? undefined : 'a file system cannot be mounted here (needs root)';

/** Holds the lock for writers of a SQLite file longer than any of them waits. */
async function holdLock(file: string): Promise<void> {
  const other = new SqliteDatabase(file);
  try {
    other.exec('BEGIN IMMEDIATE');
    await delay(8_000);
    other.exec('ROLLBACK');
  } finally {
    other.close();
  }
}

export const STORAGE_FAULTS: readonly Fault[] = [
  {
    name: 'SQLite busy',
    seconds: 9,
    async strike({ world }) {
      await holdLock(world.sqliteFile);
      return true;
    },
  },
  {
    name: 'state store locked',
    seconds: 9,
    async strike({ world }) {
      await holdLock(world.stateFile);
      return true;
    },
  },
  {
    name: 'disk full',
    seconds: 5,
    missing: needsDisk,
    async strike({ world }) {
      const file = join(world.disk, 'filler');
      try {
        fill(file);
        await delay(3_000);
      } finally {
        rmSync(file, { force: true });
      }
      return true;
    },
  },
  {
    name: 'disk read-only',
    seconds: 5,
    missing: needsDisk,
    async strike({ world }) {
      // Refused while a file is open for writing, as always one is: a bind mount over it is not.
      execFileSync('mount', ['--bind', world.disk, world.disk]);
      try {
        execFileSync('mount', ['-o', 'remount,ro,bind', world.disk]);
        await delay(3_000);
      } finally {
        execFileSync('umount', ['-l', world.disk]);
      }
      return true;
    },
  },
  {
    name: 'disk errors (EIO)',
    seconds: 5,
    missing: ({ diskFaults }) =>
      diskFaults === undefined ? 'errors of a disk cannot be made here (needs a C compiler)' : undefined,
    async strike({ world }) {
      let wasHit = false;
      const { diskFaults } = world;
      if (diskFaults === undefined) return false;
      diskFaults.begin();
      try {
        await delay(3_000);
      } finally {
        wasHit = diskFaults.end();
      }
      return wasHit;
    },
  },
];

/** Writes until there is no room. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w');
  try {
    for (const size of [1_048_576, 4_096]) {
      const chunk = Buffer.alloc(size);
      for (;;) {
        try {
          writeSync(descriptor, chunk);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === 'ENOSPC') break;
          throw error;
        }
      }
    }
  } finally {
    closeSync(descriptor);
  }
}
