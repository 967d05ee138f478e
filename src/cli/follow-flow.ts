import { type DryRunReport, type DryRunSoFar, isDryRunReport } from '../dsl/dry-run/report';
import { type FlowError, flowError } from '../dsl/errors';
import type { Cli } from './cli';
import { CommandError } from './command-error';
import { beamlineCommand } from './command-name';
import { type ConnectionFlags, repeatFlags } from './connection-flags';
import { outcomeOfReport, printRehearsed, querySteps } from './dry-run-outcome';
import { EXIT, type ExitCode } from './exit-codes';
import type { FlowOutcome } from './flow-outcome';
import { exitCodeOf, printFlowFailure } from './flow-report';
import { type WatchedFlow, watchFlow } from './flow-watcher';
import { followCommands } from './going-on';
import { printable, shellWord } from './output';
import { ProgressPrinter } from './progress-printer';
import { Stopped, StopRequest } from './stop-request';
import { deciderHint, type TokenFlags } from './token-flags';
import { tellUnreadable, tellUnreadableEnd } from './unreadable-flow';

/** Flags of a command that follows a flow. */
export type FollowFlags = ConnectionFlags & TokenFlags & { readonly json?: boolean; readonly dryRun?: boolean };

/**
 * Follows a flow until it ends: its steps on stderr, its output, or with `--json` one object, on stdout. Returns the exit code that its
 * outcome means, or that of Ctrl-C, which ends the following only.
 */
export async function followFlow(flow: WatchedFlow, flags: FollowFlags, cli: Cli): Promise<ExitCode> {
  const connection = repeatFlags(flags);
  const beamline = beamlineCommand(cli.cwd);
  const printer = new ProgressPrinter(cli.err, {
    approve: (approval) =>
      `${beamline} approvals approve ${shellWord(approval)} ${deciderHint(flags, cli)}${connection}`,
    showLetter: (letter) => `${beamline} dlq show ${shellWord(flow.workflowId)} ${shellWord(letter)}${connection}`,
  });
  const observer = {
    // The report of a dry run says more of its steps.
    onProgress: (progress: Parameters<ProgressPrinter['show']>[0]) => {
      if (flags.dryRun !== true) printer.show(progress);
    },
    onUnchanged: () => printer.remind(),
    onNotice: (line: string) => cli.err.line(cli.err.style.yellow(line)),
    onUnreadable: (reason: FlowError) => tellUnreadable(reason, flow, { flags, cli }),
  };
  const stop = new StopRequest(() => undefined);
  try {
    const outcome = await watchFlow(flow, observer, stop.signal);
    if (flags.dryRun === true) return await tellDryRun(outcome, { flow, flags, cli });
    printOutcome(outcome, { flow, flags, cli });
    return exitCodeOf(outcome);
  } catch (error) {
    if (!(error instanceof Stopped)) return await tellUnreadableEnd(error, flow, { flags, cli });
    if (flags.json === true)
      cli.out.line(JSON.stringify({ workflowId: flow.workflowId, runId: flow.runId, status: 'Running' }));
    tellGoesOn(flow.workflowId, connection, cli);
    return EXIT.interrupted;
  } finally {
    stop.release();
  }
}

interface Where {
  readonly flow: WatchedFlow;
  readonly flags: FollowFlags;
  readonly cli: Cli;
}

/** What the flow would have come to, as if it had; of a dry run that was ended before, its steps. */
async function tellDryRun(outcome: FlowOutcome, where: Where): Promise<ExitCode> {
  if (outcome.status !== 'Completed') {
    // One that failed was refused at its start.
    const steps = outcome.status === 'Failed' ? undefined : await stepsOf(where);
    if (steps !== undefined && where.flags.json !== true) printRehearsed(steps, where.cli.out);
    printOutcome(outcome, where, steps);
    return exitCodeOf(outcome);
  }
  const report = outcome.output;
  if (!isDryRunReport(report)) throw flowError('BLW_BLOCK_FAILED', 'the flow gave no report of a dry run');
  const wouldBe = outcomeOfReport(report);
  if (where.flags.json === true) printOutcome(wouldBe, where, report);
  else printRehearsed(report, where.cli.out);
  return exitCodeOf(wouldBe);
}

/** The end is told also where no worker is there to tell of the steps. */
async function stepsOf({ flow, cli }: Where): Promise<DryRunSoFar | undefined> {
  try {
    return await querySteps(flow.client, flow);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    cli.err.line(cli.err.style.yellow(printable(error.message)));
    return undefined;
  }
}

function printOutcome(outcome: FlowOutcome, { flow, flags, cli }: Where, report?: DryRunReport | DryRunSoFar): void {
  if (flags.json === true) {
    const { workflowId, runId } = flow;
    cli.out.line(JSON.stringify({ workflowId, runId, ...outcome, report }));
  } else if (outcome.status === 'Completed') cli.out.line(JSON.stringify(outcome.output, undefined, 2));
  else printFlowFailure(outcome, cli.err);
}

function tellGoesOn(workflowId: string, connection: string, cli: Cli): void {
  const { look, cancel } = followCommands(workflowId, { beamline: beamlineCommand(cli.cwd), connection });
  cli.err.line(`\nstopped following; the flow goes on as ${printable(workflowId)}`);
  cli.err.line(`  look at it:  ${look}`);
  cli.err.line(`  cancel it:   ${cancel}`);
}
