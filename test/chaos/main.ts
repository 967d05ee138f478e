import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { Driver } from './driver';
import type { Fault, Scene } from './fault';
import { FAULTS } from './faults';
import { FLOW_KINDS, PROBE } from './flows';
import { keepHistories } from './keep-histories';
import { isPlant, PLANTS, type Plant, plantWrong } from './plant';
import { Random } from './random';
import { type FaultRecord, loadRecord, printReport } from './report';
import { type Evidence, type Verification, verify } from './verify';
import { World } from './world';

const HELP = `Usage: npm run chaos -- [--seed S] [--seconds N] [--only TEXT]

Runs flows that use every block while workers, Temporal, PostgreSQL, the network, disks and clocks fail, and checks
that no effect is lost or made twice, and no flow hangs.

  --seed S       decides flows and faults; a run can be repeated with it (default: chosen, and printed)
  --seconds N    how long faults are made (default 60); what is open then gets 3 minutes to end
  --only TEXT    only faults with this text in their name
  --plant WHAT   do something wrong at the end, to see that it is found: duplicate, loss or message

The last line is a JSON object: seed, effects, lost, duplicated, hanging, faults. Exit codes: 0 nothing was lost,
duplicated or hanging and everything ended as it should; 1 something was, or nothing ran; 2 bad usage.`;

const FLOWS_AT_ONCE = 6;
/** What is open when the faults are over has so long to end. */
const SETTLE_MS = 180_000;
const RECOVERY_MS = 60_000;
/** What an attempt does that nobody waits for any more is done by then; it counts. */
const AFTERMATH_MS = 4_000;
/** What waited for NATS is out by then, and commands have seen the end of their flows. */
const LATEST_MESSAGE_MS = 60_000;
/** A fault that takes so many times as long as it should is stuck; nothing after it could be told apart from it. */
const STRIKE_PATIENCE = 5;

interface Settings {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: readonly Fault[];
  readonly plant: Plant | undefined;
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const settings = readSettings(process.argv.slice(2));
  if (settings === undefined) {
    console.log(HELP);
    return 0;
  }
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
  console.log(`chaos: seed ${settings.seed}, ${settings.seconds} s`);
  const world = await World.start();
  const stop = (): void => {
    void world.stop().finally(() => process.exit(130));
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    return await run(world, settings);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await world.stop();
  }
}

async function run(world: World, { seed, seconds, faults, plant }: Settings): Promise<number> {
  const random = new Random(seed);
  const driver = new Driver(world, seed);
  const until = Date.now() + seconds * 1_000;
  let isOver = false;
  const load = keepLoaded(driver, { random: new Random(seed + 1), until, hasNats: world.nats !== undefined });
  const beside = [
    driver.people.sweep(new Random(seed + 2), () => isOver),
    ...world.watches.map((watch) => watch.watch(() => isOver)),
  ];
  const sampling = setInterval(() => {
    for (const worker of world.workers) worker.measure();
  }, 1_000);
  const records = await strikeAll({ world, driver, random }, faults, until);
  await load;
  const hanging = await driver.settle(SETTLE_MS);
  await keepHistories(
    world.client,
    seed,
    hanging.map(({ id }) => id),
  );
  isOver = true;
  await Promise.all([...beside, delay(AFTERMATH_MS), world.commands.settle(LATEST_MESSAGE_MS)]);
  clearInterval(sampling);
  if (plant !== undefined) await plantWrong(world, driver.flows, plant);
  const { people } = driver;
  const { commands, watches } = world;
  return printReport({
    seed,
    records: [
      ...records,
      loadRecord('decisions repeated', undefined, people.repeatedDecisions),
      loadRecord('redriven singly', undefined, people.singleRedrives),
      loadRecord('redriven in bulk', undefined, people.bulkRedrives),
      loadRecord('commands killed in the middle', undefined, commands.occasions.killed),
      loadRecord('commands given twice at once', undefined, commands.occasions.twice),
    ],
    flows: driver.flows,
    hanging,
    verification: await verifyAll(world, driver),
    workers: world.workers,
    pages: watches.reduce((sum, { pages }) => sum + pages, 0),
    problems: [
      ...commands.problems,
      ...watches.flatMap(({ problems }) => problems),
      ...(watches.every(({ pages }) => pages > 0) ? [] : ['no page of metrics was read of some worker']),
    ],
  });
}

/** Compares until nothing is missing that may still be on its way to NATS. */
async function verifyAll(world: World, { flows }: Driver): Promise<Verification> {
  const until = Date.now() + LATEST_MESSAGE_MS;
  for (;;) {
    const verification = verify(await collect(world), flows);
    const isComplete = verification.findings.every(({ lost }) => lost.every((what) => !what.startsWith('NATS ')));
    if (isComplete || Date.now() > until) return verification;
    await delay(1_000);
  }
}

async function collect(world: World): Promise<Evidence> {
  const http = new Map<string, number>();
  for (const { key, what } of world.ledger.lines()) if (what === 'applied') http.set(key, (http.get(key) ?? 0) + 1);
  return { http, ...(await world.readRows()), messages: await world.readMessages() };
}

/** Keeps so many flows going until the time is up. */
async function keepLoaded(
  driver: Driver,
  { random, until, hasNats }: { random: Random; until: number; hasNats: boolean },
): Promise<void> {
  const kinds = FLOW_KINDS.filter(({ needsNats }) => hasNats || needsNats !== true);
  const lane = async (): Promise<void> => {
    while (Date.now() < until) {
      const ended = driver.run(random.pick(kinds));
      // A flow that hangs does not keep its lane: it is found at the end.
      await Promise.race([ended, delay(Math.max(0, until - Date.now()))]);
    }
  };
  await Promise.all(Array.from({ length: FLOWS_AT_ONCE }, lane));
}

/** One fault after the other, each followed by a probe; in rounds, so that all get their turn. */
async function strikeAll(scene: Scene, faults: readonly Fault[], until: number): Promise<FaultRecord[]> {
  const records = new Map<string, FaultRecord>(
    faults.map(({ name, missing }) => [name, { name, missing: missing?.(scene.world), strikes: [], problems: [] }]),
  );
  const possible = faults.filter(({ name }) => records.get(name)?.missing === undefined);
  // Until flows are under way there is nothing to disturb.
  await delay(2_000);
  while (Date.now() < until && possible.length > 0) {
    for (const fault of scene.random.shuffle(possible)) {
      if (Date.now() + fault.seconds * 1_000 > until + 5_000) continue;
      const from = Date.now();
      const patience = delay(STRIKE_PATIENCE * fault.seconds * 1_000).then(() => 'stuck' as const);
      const happened = await Promise.race([fault.strike(scene), patience]);
      const to = Date.now();
      if (happened === 'stuck') {
        records.get(fault.name)?.problems.push(`it was not over after ${STRIKE_PATIENCE * fault.seconds} s`);
        return [...records.values()];
      }
      if (!happened) continue;
      const recoveredMs = await recover(scene.driver);
      records.get(fault.name)?.strikes.push({ from, to, ...(recoveredMs === undefined ? {} : { recoveredMs }) });
    }
    await delay(200);
  }
  return [...records.values()];
}

/** How long a flow takes that is started now; undefined where it has not ended in time. */
async function recover(driver: Driver): Promise<number | undefined> {
  const from = Date.now();
  const ended = driver.run(PROBE).then(() => Date.now() - from);
  return await Promise.race([ended, delay(RECOVERY_MS).then(() => undefined)]);
}

function readSettings(args: readonly string[]): Settings | undefined {
  const { values } = parse(args);
  if (values.help === true) return undefined;
  const seed = wholeNumber('--seed', values.seed, Math.floor(Math.random() * 1_000_000));
  const seconds = wholeNumber('--seconds', values.seconds, 60);
  if (seconds < 10) throw new UsageError(`--seconds: got ${seconds}, expected at least 10`);
  const { only = '', plant } = values;
  if (plant !== undefined && !isPlant(plant))
    throw new UsageError(`--plant: got "${plant}", expected one of: ${PLANTS.join(', ')}`);
  const faults = FAULTS.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  if (faults.length === 0)
    throw new UsageError(
      `--only: got "${only}", expected a part of one of: ${FAULTS.map(({ name }) => name).join('; ')}`,
    );
  return { seed, seconds, faults, plant };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string' },
        seconds: { type: 'string' },
        only: { type: 'string' },
        plant: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${name}: got "${text}", expected a whole number`);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    console.error(`chaos: ${error instanceof Error ? (isUsage ? error.message : error.stack) : String(error)}`);
    if (isUsage) console.error(`\n${HELP}`);
    process.exit(isUsage ? 2 : 1);
  },
);
