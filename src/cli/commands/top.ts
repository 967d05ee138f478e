import { setTimeout as delay } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import { DEFAULT_QUEUE_PREFIX } from '../../dsl/names';
import { environmentName } from '../../worker/options';
import type { AddCommand, Cli } from '../cli';
import { addConnectionFlags, type ConnectionFlags, targetOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { StopRequest } from '../stop-request';
import { type TemporalSession, withTemporal } from '../temporal-session';
import { drawTop } from '../top/draw-top';
import { type Endpoint, endpointsOf, parseEndpoint } from '../top/endpoints';
import { paint } from '../top/lines';
import { LiveFrames, runTop } from '../top/run-top';
import { TopSampler } from '../top/top-sampler';
import { TopScreen } from '../top/top-screen';
import { topView } from '../top/top-view';

const DEFAULT_INTERVAL_SECONDS = 2;
const MIN_INTERVAL_SECONDS = 0.5;
const MAX_INTERVAL_SECONDS = 3_600;

const EXAMPLES = `
Examples:
  $ beamline top
  $ beamline top --metrics 10.0.0.5:9090 --metrics 10.0.0.6:9090
  $ beamline top --interval 10
  $ beamline top --once
  $ beamline top --json

q or Ctrl-C ends it. Where stdout is no terminal, one frame is printed. Queues, flows, approvals and dead letters come from Temporal;
slots, rates, latencies and tenants from the metrics of workers. Rates are those since the frame before. Exit codes: 0 ended; 2 bad
usage; 3 Temporal cannot be reached at the start.`;

interface TopFlags extends ConnectionFlags {
  readonly metrics?: readonly Endpoint[];
  readonly interval: number;
  readonly queuePrefix: string;
  readonly once?: boolean;
  readonly json?: boolean;
}

/** `beamline top` */
export const addTop: AddCommand = (command, cli, action) => {
  const prefixVariable = environmentName('queue-prefix');
  command
    .description('Shows pools, steps, tenants, flows and what waits, live in the terminal.')
    .addOption(
      new Option(
        '--metrics <HOST:PORT>',
        `metrics of a worker, its --prometheus-endpoint (may be repeated) (env: ${environmentName('prometheus-endpoint')}; default: 127.0.0.1:9090)`,
      ).argParser(parseEndpoint),
    )
    .addOption(
      new Option('--interval <SECONDS>', 'time between two frames')
        .default(DEFAULT_INTERVAL_SECONDS)
        .argParser(parseInterval),
    )
    .option(
      '--queue-prefix <NAME>',
      `the pools are NAME-io, NAME-cpu and NAME-gpu (env: ${prefixVariable})`,
      cli.env[prefixVariable] || DEFAULT_QUEUE_PREFIX,
    )
    .option('--once', 'print one frame; with metrics, after one interval, so that there are rates')
    .option('--json', 'print one frame as a JSON object');
  addConnectionFlags(command)
    .addHelpText('after', EXAMPLES)
    .action(action((flags: TopFlags) => top(flags, cli)));
};

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds >= MIN_INTERVAL_SECONDS && seconds <= MAX_INTERVAL_SECONDS) return seconds;
  throw new InvalidArgumentError(`Expected seconds, from ${MIN_INTERVAL_SECONDS} to ${MAX_INTERVAL_SECONDS}.`);
}

async function top(flags: TopFlags, cli: Cli): Promise<ExitCode> {
  const { queuePrefix } = flags;
  const endpoints = endpointsOf(flags.metrics, cli);
  return await withTemporal(targetOf(flags), async (session) => {
    const sampler = new TopSampler(session, { queuePrefix, endpoints });
    if (cli.out.terminal === undefined || flags.once === true || flags.json === true) {
      await printOnce(sampler, session, { flags, cli });
    } else await showLive(sampler, session, { flags, cli, terminal: cli.out.terminal });
    return EXIT.done;
  });
}

async function printOnce(
  sampler: TopSampler,
  { address, namespace }: TemporalSession,
  { flags, cli }: { flags: TopFlags; cli: Cli },
): Promise<void> {
  const first = await sampler.read();
  const hasMetrics = first.workers.some((reading) => 'page' in reading);
  if (hasMetrics) await delay(flags.interval * 1_000);
  const view = hasMetrics ? topView(first, await sampler.read()) : topView(undefined, first);
  if (flags.json === true) {
    cli.out.line(JSON.stringify({ address, namespace, ...view }));
    return;
  }
  const width = cli.out.terminal?.columns ?? Number.POSITIVE_INFINITY;
  const frame = { address, namespace, width, height: Number.POSITIVE_INFINITY };
  for (const line of drawTop(view, frame)) cli.out.line(paint(line, cli.out.style));
}

async function showLive(
  sampler: TopSampler,
  { address, namespace }: TemporalSession,
  { flags, cli, terminal }: { flags: TopFlags; cli: Cli; terminal: NonNullable<Cli['out']['terminal']> },
): Promise<void> {
  const first = await sampler.read();
  const stop = new StopRequest(() => undefined);
  cli.onReaderGone = () => stop.request('EPIPE');
  const screen = new TopScreen(terminal, cli.stdin, {
    onResize: () => frames.draw(),
    onEnd: () => stop.request('q'),
  });
  const { style } = cli.out;
  const footer = `every ${flags.interval} s; q ends`;
  const frames = new LiveFrames(first, { screen, style, around: { address, namespace, footer } });
  screen.open();
  try {
    await runTop(frames, { read: () => sampler.read(), intervalMs: flags.interval * 1_000, signal: stop.signal });
  } finally {
    screen.close();
    stop.release();
  }
}
