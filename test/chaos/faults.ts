import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import SqliteDatabase from 'better-sqlite3';
import type { Driver } from './driver';
import type { Moment, Weather } from './effects';
import { MEMORY_KIND, POISON_KINDS } from './flows';
import type { Random } from './random';
import { CAN_FAKE_TIME, ownerOfPort, type WorkerProcess } from './workers';
import type { World } from './world';

/** What a fault is made in, and with. */
export interface Scene {
  readonly world: World;
  readonly driver: Driver;
  readonly random: Random;
}

export interface Fault {
  readonly name: string;
  /** Seconds that it takes at most, with what it waits for. */
  readonly seconds: number;
  /** Why it cannot be made here; undefined where it can. */
  missing?(world: World): string | undefined;
  /** Makes it, and mends it again. False: there was no occasion for it. */
  strike(scene: Scene): Promise<boolean>;
}

/** Longer than the heartbeat timeout of the flows' steps. */
const PAST_HEARTBEAT_MS = 5_000;
const OCCASION_MS = 10_000;

/** Kills the worker whose request has come so far. */
function killAt(moment: Moment): Fault {
  return {
    name: `worker killed ${moment} the effect`,
    seconds: 12,
    async strike({ world, random }) {
      const port = await world.ledger.trap(moment, random.next() < 0.5, OCCASION_MS);
      if (port === undefined) return false;
      try {
        const owner = ownerOfPort(
          port,
          world.workers.flatMap(({ pid }) => pid ?? []),
        );
        const worker = world.workers.find(({ pid }) => pid === owner && pid !== undefined);
        if (worker === undefined) return false;
        await kill(worker);
        return true;
      } finally {
        world.ledger.release();
      }
    },
  };
}

async function kill(worker: WorkerProcess): Promise<void> {
  worker.signal('SIGKILL');
  await worker.ended();
  await worker.settled();
}

function weather(name: string, kind: Weather, seconds: number): Fault {
  return {
    name,
    seconds: seconds + 1,
    async strike({ world }) {
      await world.ledger.setWeather(kind);
      await delay(seconds * 1_000);
      return (await world.ledger.setWeather('fair')) > 0;
    },
  };
}

const needsDisk = ({ isDiskSmall }: World): string | undefined =>
  isDiskSmall ? undefined : 'a file system cannot be mounted here (needs root)';

export const FAULTS: readonly Fault[] = [
  killAt('before'),
  killAt('during'),
  killAt('after'),
  {
    name: 'worker killed at any moment',
    seconds: 5,
    async strike({ world, random }) {
      await delay(random.between(0, 1_000));
      await kill(random.pick(world.workers));
      return true;
    },
  },
  {
    name: 'worker stopped past its heartbeat, then resumed',
    seconds: 8,
    async strike({ world, random }) {
      const worker = random.pick(world.workers);
      worker.signal('SIGSTOP');
      await delay(PAST_HEARTBEAT_MS);
      worker.signal('SIGCONT');
      return true;
    },
  },
  {
    name: 'worker asked to end under load',
    seconds: 12,
    async strike({ world, random }) {
      const worker = random.pick(world.workers);
      worker.signal('SIGTERM');
      await worker.ended();
      if (worker.lastExit !== 'exit code 0')
        worker.crashes.push(`${worker.name}, asked to end, did so with ${worker.lastExit}`);
      await worker.settled();
      return true;
    },
  },
  {
    name: 'Temporal killed and started again',
    seconds: 10,
    async strike({ world, random }) {
      await world.restartTemporal(random.between(500, 3_000));
      return true;
    },
  },
  {
    name: 'connection to Temporal cut',
    seconds: 6,
    async strike({ world, random }) {
      world.temporalProxy.cut();
      await delay(random.between(500, 4_000));
      world.temporalProxy.mend();
      return true;
    },
  },
  {
    name: 'connection to Temporal slow',
    seconds: 6,
    async strike({ world, random }) {
      world.temporalProxy.delayMs = random.between(100, 500);
      await delay(5_000);
      world.temporalProxy.delayMs = 0;
      return true;
    },
  },
  {
    name: 'PostgreSQL crashed and recovered',
    seconds: 6,
    async strike({ world }) {
      await world.postgres.restart('crash');
      return true;
    },
  },
  {
    name: 'answer of COMMIT lost',
    seconds: 8,
    async strike({ world, random }) {
      const { postgresProxy } = world;
      const before = postgresProxy.lost;
      postgresProxy.cuts = random.between(1, 3);
      for (let waited = 0; waited < 7_000 && postgresProxy.cuts > 0; waited += 50) await delay(50);
      postgresProxy.cuts = 0;
      return postgresProxy.lost > before;
    },
  },
  {
    name: 'SQLite busy',
    seconds: 9,
    async strike({ world }) {
      const other = new SqliteDatabase(world.sqliteFile);
      try {
        other.exec('BEGIN IMMEDIATE');
        // Longer than a step waits for another writer: attempts fail with SQLITE_BUSY.
        await delay(8_000);
        other.exec('ROLLBACK');
      } finally {
        other.close();
      }
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
  weather('HTTP answers reset in the middle', 'reset', 3),
  weather('HTTP answers cut short', 'truncate', 3),
  weather('HTTP answers slow', 'slow', 5),
  weather('HTTP 503 bursts', 'unavailable', 4),
  {
    name: 'clock jumps',
    seconds: 7,
    missing: () => (CAN_FAKE_TIME ? undefined : 'libfaketime is not installed'),
    async strike({ world, random }) {
      const worker = world.workers.at(-1);
      for (const seconds of [3_600, -3_600, random.between(-100_000, 100_000), 0]) {
        worker?.shiftClock(seconds);
        await delay(1_500);
      }
      return true;
    },
  },
  {
    name: 'out of memory in a child process',
    seconds: 20,
    async strike({ driver }) {
      await driver.run(MEMORY_KIND);
      return true;
    },
  },
  {
    name: 'poison input',
    seconds: 10,
    async strike({ driver }) {
      await Promise.all(POISON_KINDS.map((kind) => driver.run(kind)));
      return true;
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
