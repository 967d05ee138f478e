import { setTimeout as delay } from 'node:timers/promises';
import type { Moment } from './effects';
import type { Fault } from './fault';
import { CAN_FAKE_TIME, ownerOfPort, type WorkerProcess } from './workers';
import type { World } from './world';

/** Longer than the heartbeat timeout of the flows' steps. */
const PAST_HEARTBEAT_MS = 5_000;
const OCCASION_MS = 10_000;
/** An answer on loopback has arrived by then. */
const ANSWERED_MS = 300;

/** Kills the worker whose request has come so far. */
function killAt(moment: Moment): Fault {
  return {
    name: `worker killed ${moment} the effect`,
    seconds: 12,
    async strike({ world, random }) {
      const port = await world.ledger.trap(moment, random.next() < 0.5, OCCASION_MS);
      if (port === undefined) return false;
      try {
        const worker = workerOf(world, port);
        if (worker === undefined) return false;
        await kill(worker);
        return true;
      } finally {
        world.ledger.release();
      }
    },
  };
}

function workerOf(world: World, port: number): WorkerProcess | undefined {
  const owner = ownerOfPort(
    port,
    world.workers.flatMap(({ pid }) => pid ?? []),
  );
  return world.workers.find(({ pid }) => pid === owner && pid !== undefined);
}

async function kill(worker: WorkerProcess): Promise<void> {
  worker.signal('SIGKILL');
  await worker.ended();
  await worker.settled();
}

/** It has the answer, and cannot tell Temporal before it ends. */
const killBeforeReport: Fault = {
  name: 'worker killed before the report',
  seconds: 14,
  async strike({ world, random }) {
    const port = await world.ledger.trap('during', random.next() < 0.5, OCCASION_MS);
    if (port === undefined) return false;
    try {
      const worker = workerOf(world, port);
      if (worker === undefined) return false;
      world.temporalProxy.cut();
      world.ledger.release();
      await delay(ANSWERED_MS);
      worker.signal('SIGKILL');
      await worker.ended();
      world.temporalProxy.mend();
      await worker.settled();
      return true;
    } finally {
      world.temporalProxy.mend();
      world.ledger.release();
    }
  },
};

/** The database has done it, and no worker lives to hear so. */
const killAfterCommit: Fault = {
  name: 'workers killed after COMMIT, before they hear of it',
  seconds: 20,
  async strike({ world }) {
    const { postgresProxy } = world;
    postgresProxy.holds = 1;
    for (let waited = 0; waited < OCCASION_MS && postgresProxy.held === 0; waited += 50) await delay(50);
    postgresProxy.holds = 0;
    if (postgresProxy.held === 0) return false;
    await Promise.all(world.workers.map(kill));
    postgresProxy.let();
    return true;
  },
};

export const WORKER_FAULTS: readonly Fault[] = [
  killAt('before'),
  killAt('during'),
  killAt('after'),
  killBeforeReport,
  killAfterCommit,
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
];
