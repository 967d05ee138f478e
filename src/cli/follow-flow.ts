import { isDryRunReport } from '../dsl/dry-run/report';
import { type FlowError, flowError } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import type { Cli } from './cli';
import { beamlineCommand } from './command-name';
import { type ConnectionFlags, repeatFlags } from './connection-flags';
import { printDryRun } from './dry-run-report';
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
    if (flags.dryRun === true && outcome.status === 'Completed')
      return tellDryRun(outcome.output, { flow, flags, cli });
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

/** What the flow would have come to, as if it had. */
function tellDryRun(report: Json, { flow, flags, cli }: { flow: WatchedFlow; flags: FollowFlags; cli: Cli }): ExitCode {
  if (!isDryRunReport(report)) throw flowError('BLW_BLOCK_FAILED', 'the flow gave no report of a dry run');
  const outcome: FlowOutcome =
    report.error === undefined
      ? { status: 'Completed', output: report.output ?? null }
      : { status: 'Failed', error: report.error };
  if (flags.json === true) {
    const { workflowId, runId } = flow;
    cli.out.line(JSON.stringify({ workflowId, runId, ...outcome, report }));
  } else printDryRun(report, cli.out);
  return exitCodeOf(outcome);
}

function printOutcome(outcome: FlowOutcome, where: { flow: WatchedFlow; flags: FollowFlags; cli: Cli }): void {
  const { flow, flags, cli } = where;
  if (flags.json === true) {
    const { workflowId, runId } = flow;
    const json: JsonObject = { workflowId, runId, ...outcome };
    cli.out.line(JSON.stringify(json));
    return;
  }
  if (outcome.status === 'Completed') cli.out.line(JSON.stringify(outcome.output, undefined, 2));
  else printFlowFailure(outcome, cli.err);
}

function tellGoesOn(workflowId: string, connection: string, cli: Cli): void {
  const { look, cancel } = followCommands(workflowId, { beamline: beamlineCommand(cli.cwd), connection });
  cli.err.line(`\nstopped following; the flow goes on as ${printable(workflowId)}`);
  cli.err.line(`  look at it:  ${look}`);
  cli.err.line(`  cancel it:   ${cancel}`);
}
