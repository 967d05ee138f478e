import { type Command, Option } from 'commander';
import type { AddCommand, Cli } from '../cli';
import { errorDataOf, usageError } from '../command-error';
import { beamlineCommand } from '../command-name';
import {
  addConnectionFlags,
  addDataFlags,
  type ConnectionFlags,
  dataTargetOf,
  repeatFlags,
  targetOf,
} from '../connection-flags';
import { commandParts } from '../dead-letter-view';
import { EXIT, type ExitCode } from '../exit-codes';
import { addFlowFlags, parseTime } from '../flow-filter';
import { followFlow } from '../follow-flow';
import { unfollowed } from '../going-on';
import { limitUpTo } from '../limit-flag';
import { printable } from '../output';
import { checkRunId } from '../run-id-flag';
import { listRuns, type RunFilter } from '../runs/list-runs';
import { runTable, runToJson } from '../runs/run-list-view';
import { type RunReport, readRun } from '../runs/run-report';
import { parseStatus } from '../runs/run-status';
import { printHead, printRun, reportToJson } from '../runs/run-view';
import { cancelRun, terminateRun } from '../runs/stop-run';
import { type TemporalSession, withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';
import { addTokenFileFlag, type TokenFlags } from '../token-flags';
import { uiLink } from '../ui-link';

const MAX_LISTED = 1_000;

const EXAMPLES = `
Examples:
  $ beamline runs
  $ beamline runs list --tenant acme --status failed --since 2h
  $ beamline runs show order-4711
  $ beamline runs show order-4711 --follow
  $ beamline runs cancel order-4711 --reason "ordered twice"

Exit codes: 0 done; 1 a worker refused to answer; 2 bad usage, or there is no such flow; 3 Temporal cannot be reached. With --follow,
those of \`beamline run\`.`;

const LIST_EXAMPLES = `
Examples:
  $ beamline runs list
  $ beamline runs list --status open --tenant acme
  $ beamline runs list --status deadlettered --status awaitingapproval
  $ beamline runs list --dry-runs --status failed
  $ beamline runs list --flow shop/order --started-after 2026-11-28 --started-before 2026-11-29 --json
  $ beamline runs list --query "CloseTime > '2026-11-28T13:00:00Z' AND ExecutionDuration > '10m'"

Open flows come first, the newest at the top, then those that ended last. No worker is asked. A status is one of open, Running,
AwaitingApproval, AwaitingQuota, Compensating, DeadLettered, Completed, Failed, Cancelled, Terminated, TimedOut. Dry runs are left out
unless they are asked for: with --dry-runs, or by DryRun, DryRunCompleted, DryRunFailed or DryRunCancelled.`;

const SHOW_EXAMPLES = `
Examples:
  $ beamline runs show order-4711
  $ beamline runs show order-4711 --json
  $ beamline runs show order-4711 --follow
  $ beamline runs show order-4711 --run-id 0198c5a2-3b1e-7d20-9c41-5f7e8a6b1c2d

The steps come from a worker; where none answers, the rest is shown, with a note.`;

const CANCEL_EXAMPLES = `
Examples:
  $ beamline runs cancel order-4711
  $ beamline runs cancel order-4711 --reason "ordered twice"`;

const TERMINATE_EXAMPLES = `
Examples:
  $ beamline runs terminate order-4711 --reason "its input can never be read"

Prefer \`beamline runs cancel\`: what is terminated undoes nothing, and tells nobody.`;

type ListFlags = ConnectionFlags &
  RunFilter & { readonly since?: number; readonly limit: number; readonly json?: boolean };

type ShowFlags = ConnectionFlags &
  TokenFlags & { readonly runId?: string; readonly follow?: boolean; readonly json?: boolean };

type StopFlags = ConnectionFlags & { readonly reason: string; readonly json?: boolean };

/** `beamline runs [list|show|cancel|terminate]` */
export const addRuns: AddCommand = (command, cli, action) => {
  command.description('Lists flows, and looks into them.').addHelpText('after', EXAMPLES);
  const list = addFlowFlags(
    command.command('list', { isDefault: true }).description('Lists flows: those that are open, and those that ended.'),
  )
    .addOption(
      new Option(
        '--status <STATUS>',
        'only those of this status, or open for all that have not ended (may be repeated)',
      ).argParser(parseStatus),
    )
    .option('--dry-runs', 'dry runs, and no live flows')
    .option('--block <TYPE>', 'only those that wait at this block: human.approval, or that of a dead letter');
  addTimeFlags(list)
    .option('--query <QUERY>', "a condition more, in the words of Temporal's visibility queries")
    .addOption(new Option('--limit <N>', 'at most so many').default(100).argParser(limitUpTo(MAX_LISTED)))
    .option('--json', 'print one JSON object: runs, hasMore');
  addConnectionFlags(list)
    .addHelpText('after', LIST_EXAMPLES)
    .action(action((flags: ListFlags) => showList(flags, cli)));
  const show = command
    .command('show')
    .description('Shows where a flow is: its steps, what it waits for, what fails, and what can be done.')
    .argument('<id>', 'workflow id of the flow')
    .option('--run-id <ID>', 'which run of that id (default: the newest)')
    .option('--follow', 'go on with its steps until it ends')
    .option('--json', 'print one JSON object; with --follow, its outcome, as `beamline run` does');
  addDataFlags(addConnectionFlags(addTokenFileFlag(show)))
    .addHelpText('after', SHOW_EXAMPLES)
    .action(action((id: string, flags: ShowFlags) => showOne(id, flags, cli)));
  addStop(command, 'cancel')
    .description('Asks a flow to end in good order: what has compensations is undone.')
    .addHelpText('after', CANCEL_EXAMPLES)
    .action(action((id: string, flags: StopFlags) => stop('cancel', id, { flags, cli })));
  addStop(command, 'terminate')
    .description('Ends a flow where it stands; nothing is undone.')
    .addHelpText('after', TERMINATE_EXAMPLES)
    .action(action((id: string, flags: StopFlags) => stop('terminate', id, { flags, cli })));
};

function addTimeFlags(command: Command): Command {
  const after = 'only those that were started after: 2h (ago), or a date';
  return command
    .addOption(new Option('--started-after <TIME>', after).argParser(parseTime))
    .addOption(
      new Option('--since <TIME>', 'the same as --started-after').argParser(parseTime).conflicts('startedAfter'),
    )
    .addOption(
      new Option('--started-before <TIME>', 'only those that were started before: 2h (ago), or a date').argParser(
        parseTime,
      ),
    );
}

function addStop(parent: Command, name: 'cancel' | 'terminate'): Command {
  const command = parent
    .command(name)
    .argument('<id>', 'workflow id of the flow')
    .option('--reason <TEXT>', 'why; kept in the history', `beamline runs ${name}`)
    .option('--json', 'print one JSON object: workflowId, runId');
  return addConnectionFlags(command);
}

async function showList({ since, ...flags }: ListFlags, cli: Cli): Promise<ExitCode> {
  const { limit, tenant, startedAfter = since } = flags;
  checkTenantFlag(tenant);
  const filter = { ...flags, ...(startedAfter === undefined ? {} : { startedAfter }) };
  const { runs, hasMore } = await withTemporal(targetOf(flags), ({ client }) => listRuns(client, filter, limit));
  if (flags.json === true) {
    cli.out.line(JSON.stringify({ runs: runs.map(runToJson), hasMore }));
    return EXIT.done;
  }
  if (runs.length === 0) cli.out.line('there is no such flow');
  else for (const line of runTable(runs, Date.now(), cli.out.style)) cli.out.line(line);
  if (hasMore) cli.err.line(`there are more than ${limit}; see them with --limit`);
  return EXIT.done;
}

async function showOne(id: string, flags: ShowFlags, cli: Cli): Promise<ExitCode> {
  const { runId } = flags;
  if (id.trim() === '') throw usageError('got an empty text, expected a workflow id');
  checkRunId(runId);
  return await withTemporal(dataTargetOf(flags, cli), async (session) => {
    const report = await readRun(session.client, id, runId);
    if (flags.follow === true) return await follow(report, session, { flags, cli });
    const ui = uiLink({ ...session, workflowId: id, runId: report.runId });
    if (flags.json === true) cli.out.line(JSON.stringify(reportToJson(report, ui)));
    else printRun(report, { output: cli.out, now: Date.now(), parts: commandParts(flags, cli), ui });
    return EXIT.done;
  });
}

/** The head goes where the steps go: stdout has the output alone. */
async function follow(
  report: RunReport,
  session: TemporalSession,
  { flags, cli }: { flags: ShowFlags; cli: Cli },
): Promise<ExitCode> {
  const { workflowId, runId, taskQueue } = report;
  printHead(report, { output: cli.err, now: Date.now(), ui: uiLink({ ...session, workflowId, runId }) });
  try {
    const followed = { client: session.client, workflowId, runId, taskQueue };
    return await followFlow(followed, { ...flags, dryRun: report.isDryRun === true }, cli);
  } catch (error) {
    if (flags.json === true)
      cli.out.line(JSON.stringify({ workflowId, runId, status: 'Unknown', error: errorDataOf(error) }));
    throw unfollowed(error, workflowId, { beamline: beamlineCommand(cli.cwd), connection: repeatFlags(flags) });
  }
}

async function stop(
  how: 'cancel' | 'terminate',
  id: string,
  { flags, cli }: { flags: StopFlags; cli: Cli },
): Promise<ExitCode> {
  const { reason } = flags;
  const stopped = await withTemporal(targetOf(flags), ({ client }) =>
    how === 'cancel' ? cancelRun(client, id, reason) : terminateRun(client, id, reason),
  );
  const name = printable(id);
  if (flags.json === true) cli.out.line(JSON.stringify(stopped));
  else
    cli.out.line(how === 'cancel' ? `${name} is asked to end; see it end with \`runs show\`` : `${name} is terminated`);
  return EXIT.done;
}
