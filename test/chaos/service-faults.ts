import { setTimeout as delay } from 'node:timers/promises';
import type { Weather } from './effects';
import type { Fault } from './fault';
import type { World } from './world';

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

const needsNats = ({ nats }: World): string | undefined =>
  nats === undefined ? 'nats-server is not installed' : undefined;

export const SERVICE_FAULTS: readonly Fault[] = [
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
    name: 'commands while Temporal is away',
    seconds: 25,
    async strike({ world, random }) {
      const given = [
        ['dlq', 'list'],
        ['redrive', '--flow', 'chaos/redriven', '--yes'],
        ['approvals', 'list'],
      ].map((args) => ({ args, manner: 'once' as const, random }));
      world.temporalProxy.cut();
      try {
        const ends = await Promise.all(given.map((one) => world.commands.give(one)));
        const wrong = ends.flat().find(({ code }) => code !== 3 && code !== 1);
        if (wrong !== undefined) world.commands.problems.push(`a command without Temporal: exit code ${wrong.code}`);
      } finally {
        world.temporalProxy.mend();
      }
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
  weather('HTTP answers reset in the middle', 'reset', 3),
  weather('HTTP answers cut short', 'truncate', 3),
  weather('HTTP answers slow', 'slow', 5),
  weather('HTTP 503 bursts', 'unavailable', 4),
  weather('HTTP 500 after the effect', 'broken', 3),
  {
    name: 'NATS killed and started again',
    seconds: 6,
    missing: needsNats,
    async strike({ world, random }) {
      await world.nats?.kill();
      await delay(random.between(500, 4_000));
      await world.nats?.restart();
      return true;
    },
  },
  {
    name: 'connection to NATS cut',
    seconds: 6,
    missing: needsNats,
    async strike({ world, random }) {
      world.natsProxy?.cut();
      await delay(random.between(500, 5_000));
      world.natsProxy?.mend();
      return true;
    },
  },
  {
    name: 'connection to NATS slow',
    seconds: 6,
    missing: needsNats,
    async strike({ world, random }) {
      const { natsProxy } = world;
      if (natsProxy === undefined) return false;
      natsProxy.delayMs = random.between(200, 1_500);
      await delay(5_000);
      natsProxy.delayMs = 0;
      return true;
    },
  },
];
