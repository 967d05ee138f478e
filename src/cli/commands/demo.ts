import type { AddCommand, Cli } from '../cli';
import { beamlineCommand } from '../command-name';
import { type DemoStage, setStage } from '../demo/demo-stage';
import { prepareExample, runExample, startByHand } from '../demo/run-example';
import { ownTarget, temporalCommand } from '../embedded-temporal';
import { EXIT, type ExitCode } from '../exit-codes';
import type { FlowOutcome } from '../flow-outcome';
import { exitCodeOf, printFlowFailure } from '../flow-report';
import { ReleaseStack } from '../release-stack';
import type { FlowStart } from '../start-flow';
import { Stopped, StopRequest } from '../stop-request';
import { withTemporal } from '../temporal-session';

const EXAMPLES = `
Examples:
  $ beamline demo          run the example, then stop and remove everything
  $ beamline demo --keep   leave everything running afterwards, until Ctrl-C

Starts a Temporal server, a worker and a small order service on free ports of this machine, runs examples/order-intake.yaml,
and approves the order as "demo-approver". Exit codes: 0 done, 1 the flow failed, 130 Ctrl-C before it was done.`;

/** `beamline demo` */
export const addDemo: AddCommand = (command, cli, action) => {
  command
    .description('Runs the example end to end, with everything it needs.')
    .option('--keep', 'leave everything running afterwards, until Ctrl-C')
    .addHelpText('after', EXAMPLES)
    .action(action((flags: { keep?: boolean }) => demo(flags, cli)));
};

async function demo(flags: { keep?: boolean }, cli: Cli): Promise<ExitCode> {
  const stop = new StopRequest((reason) => cli.err.line(`stopping (${reason}); Ctrl-C once more ends at once`));
  cli.onReaderGone = () => stop.request('EPIPE');
  const releases = new ReleaseStack((error) => cli.err.line(`could not be stopped cleanly: ${String(error)}`));
  try {
    cli.out.line('Starting a Temporal server, a worker and an order service …');
    const stage = await setStage({ cli, stop, releases });
    return await play(stage, flags, { cli, stop });
  } catch (error) {
    if (error instanceof Stopped) return EXIT.interrupted;
    throw error;
  } finally {
    await releases.releaseAll();
    stop.release();
  }
}

async function play(
  stage: DemoStage,
  { keep = false }: { keep?: boolean },
  { cli, stop }: { cli: Cli; stop: StopRequest },
): Promise<ExitCode> {
  const start = await prepareExample(stage, cli);
  const temporal = await temporalCommand(cli);
  cli.out.line(`${start.flow} runs as ${start.workflowId}; UI: ${stage.server.uiUrl ?? 'none'}\n`);
  const outcome = await withTemporal({ ...ownTarget(stage.server), blobRoot: stage.blobRoot }, (session) =>
    runExample(start, session, { cli, signal: stop.signal }),
  );
  printResult(outcome, cli);
  await printHints(start, { stage, temporal, keep, cli });
  if (keep) {
    cli.out.line('\nEverything stays up until Ctrl-C.');
    await stop.wanted();
  }
  return exitCodeOf(outcome);
}

function printResult(outcome: FlowOutcome, cli: Cli): void {
  cli.out.line();
  if (outcome.status === 'Completed') {
    cli.out.line(cli.out.style.bold('Result'));
    cli.out.line(JSON.stringify(outcome.output, undefined, 2));
  } else {
    printFlowFailure(outcome, cli.err);
  }
}

async function printHints(
  start: FlowStart,
  { stage, temporal, keep, cli }: { stage: DemoStage; temporal: string; keep: boolean; cli: Cli },
): Promise<void> {
  const ui = stage.server.uiUrl ?? 'none';
  if (keep) {
    cli.out.line(`\nTemporal's UI: ${ui}`);
    cli.out.line('The same flow, started by hand:');
    cli.out.line(`  ${await startByHand(start, { stage, temporal })}`);
    return;
  }
  const command = beamlineCommand(cli.cwd);
  cli.out.line(`\nTemporal's UI was ${ui} and is gone with the demo; \`${command} dev\` keeps one.`);
  cli.out.line(`\`${command} demo --keep\` keeps all of it, and says how to start the same flow by hand.`);
}
