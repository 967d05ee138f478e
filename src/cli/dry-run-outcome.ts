import type { Client } from '@temporalio/client';
import type { DryRunReport, DryRunSoFar } from '../dsl/dry-run/report';
import { DRY_RUN_STEPS_QUERY } from '../dsl/names';
import { printDryRun, printDryRunSteps } from './dry-run-report';
import type { FlowOutcome } from './flow-outcome';
import type { TextOutput } from './output';
import { type QueriedRun, queryRun, StuckRunError } from './query-run';
import { printStep } from './step-report';

/** How the flow would have ended, as if it had. */
export function outcomeOfReport({ error, output = null }: DryRunReport): FlowOutcome {
  return error === undefined ? { status: 'Completed', output } : { status: 'Failed', error };
}

/**
 * Asks a dry run for its steps while it has no report; undefined where it was refused at its start, so that there are none. Throws
 * BLW_TEMPORAL_UNREACHABLE, with exit code 1, where no worker answers.
 */
export async function querySteps(
  client: Client,
  run: QueriedRun,
  timeoutMs?: number,
): Promise<DryRunSoFar | undefined> {
  try {
    return await queryRun<DryRunSoFar>(client, run, DRY_RUN_STEPS_QUERY, {
      args: [],
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  } catch (error) {
    // It does not know the query.
    if (error instanceof StuckRunError) return undefined;
    throw error;
  }
}

/** Prints for people what a dry run came to; of one that has no report, its steps. */
export function printRehearsed(report: DryRunReport | DryRunSoFar, output: TextOutput): void {
  if (!('status' in report)) printDryRunSteps(report, output);
  else if (report.only === undefined) printDryRun(report, output);
  else printStep(report, { step: report.only }, output);
}
