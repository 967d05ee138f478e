import type { Client } from '@temporalio/client';
import { Option } from 'commander';
import type { Json, JsonObject } from '../../dsl/json';
import { mapBounded } from '../bounded';
import type { AddCommand, Cli } from '../cli';
import { errorDataOf, usageError } from '../command-error';
import { addConnectionFlags, addDataFlags, type ConnectionFlags, dataTargetOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { addFailureFlags, type FailureFilter } from '../flow-filter';
import { limitUpTo } from '../limit-flag';
import { printable } from '../output';
import { executeRedrive } from '../redrive/execute-redrive';
import { type FailedFlow, listFailedFlows } from '../redrive/failed-flows';
import { planRedrive, type RedrivePlan } from '../redrive/plan-redrive';
import { planToJson, redriveTable } from '../redrive/redrive-view';
import { checkRunId } from '../run-id-flag';
import { withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';

const REDRIVES_AT_ONCE = 4;
const MAX_LIMIT = 10_000;

const EXAMPLES = `
Examples:
  $ beamline redrive order-4711
  $ beamline redrive order-4711 --run-id 0a6c… --dry-run
  $ beamline redrive --tenant acme --code BLW_HTTP_STATUS --since 2h --dry-run
  $ beamline redrive --tenant acme --code BLW_HTTP_STATUS --since 2h --yes

The flow goes on from the step that failed, as a new run of the same id; nothing before that step is done again. Without an ID: all flows that
failed and that the filters let through. Exit codes: 0 done; 1 a flow cannot go on from its failed step; 2 bad usage, or there is no such
flow; 3 Temporal cannot be reached.`;

interface Flags extends ConnectionFlags, FailureFilter {
  readonly runId?: string;
  readonly limit: number;
  readonly repeatUnknown?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
  readonly reason: string;
}

/** `beamline redrive` */
export const addRedrive: AddCommand = (command, cli, action) => {
  command
    .description('Lets flows that failed go on from the step that failed.')
    .argument('[id]', 'workflow id of a flow; without it, all that the filters let through')
    .option('--run-id <ID>', 'of the id, this run, and none that came after it');
  addFailureFlags(command)
    .addOption(new Option('--limit <N>', 'at most so many').default(100).argParser(limitUpTo(MAX_LIMIT)))
    .option('--repeat-unknown', 'also where something would be sent again of which nobody knows whether it was done')
    .option('--reason <TEXT>', 'why; kept in the history', 'beamline redrive')
    .option('--dry-run', 'only show what would go on, and from where')
    .option('--yes', 'of several flows: do it')
    .option('--json', 'print one JSON object: flows, hasMore');
  addDataFlags(addConnectionFlags(command))
    .addHelpText('after', EXAMPLES)
    .action(action((id: string | undefined, flags: Flags) => redrive(id, flags, cli)));
};

async function redrive(id: string | undefined, flags: Flags, cli: Cli): Promise<ExitCode> {
  refuseContradictions(id, flags);
  return await withTemporal(dataTargetOf(flags, cli), ({ client }) =>
    id === undefined ? redriveMany(client, flags, cli) : redriveOne(client, id, { flags, cli }),
  );
}

function refuseContradictions(id: string | undefined, flags: Flags): void {
  const { tenant, flow, since, until, code, runId, dryRun, yes } = flags;
  checkTenantFlag(tenant);
  const hasFilter = [tenant, flow, since, until, code].some((value) => value !== undefined);
  if (id !== undefined && hasFilter) throw usageError('an id and filters: expected one of them');
  if (id !== undefined) return;
  if (runId !== undefined) throw usageError('--run-id needs an id');
  if (dryRun !== true && yes !== true)
    throw usageError('which flow? Expected an id, or for several flows --dry-run or --yes', {
      help: 'See with --dry-run which ones the filters let through, then say --yes.',
    });
}

async function redriveOne(client: Client, id: string, { flags, cli }: { flags: Flags; cli: Cli }): Promise<ExitCode> {
  const { runId, repeatUnknown, dryRun = false, json = false, reason } = flags;
  checkRunId(runId);
  const plan = await planRedrive(client, id, { runId, repeatUnknown });
  const newRunId = dryRun ? undefined : await executeRedrive(client, plan, reason);
  if (json) cli.out.line(JSON.stringify({ flows: [planToJson(plan, newRunId)], hasMore: false }));
  else cli.out.line(outcomeLine(plan, newRunId));
  return EXIT.done;
}

function outcomeLine(plan: RedrivePlan, newRunId: string | undefined): string {
  const { workflowId, rewind } = plan;
  const from = rewind.step === undefined ? `event ${rewind.point}` : rewind.step;
  return newRunId === undefined
    ? `${printable(workflowId)} would go on from ${printable(from)} (reset to event ${rewind.point})`
    : `${printable(workflowId)} goes on from ${printable(from)} as run ${newRunId}`;
}

/** What became of one of several flows. */
interface Outcome {
  readonly flow: FailedFlow;
  readonly newRunId?: string;
  readonly error?: unknown;
}

async function redriveMany(client: Client, flags: Flags, cli: Cli): Promise<ExitCode> {
  const { flows, hasMore } = await listFailedFlows(client, flags, flags);
  const outcomes = await mapBounded(flows, REDRIVES_AT_ONCE, (flow) => attempt(client, flow, flags));
  if (flags.json === true) cli.out.line(JSON.stringify({ flows: outcomes.map(outcomeToJson), hasMore }));
  else printOutcomes(outcomes, flags.dryRun === true, cli);
  if (hasMore) cli.err.line(`there are more than ${flags.limit}; take them with --limit, or call the command again`);
  return outcomes.some(({ error }) => error !== undefined) ? EXIT.failed : EXIT.done;
}

/** One that fails does not keep the others from going on. */
async function attempt(client: Client, flow: FailedFlow, { dryRun, reason, repeatUnknown }: Flags): Promise<Outcome> {
  if ('error' in flow.found) return { flow, error: flow.found.error };
  if (dryRun === true) return { flow };
  try {
    // Meanwhile somebody else may have redriven it.
    const plan = await planRedrive(client, flow.workflowId, { runId: flow.runId, repeatUnknown });
    return { flow, newRunId: await executeRedrive(client, plan, reason) };
  } catch (error) {
    return { flow, error };
  }
}

function outcomeToJson({ flow, newRunId, error }: Outcome): JsonObject {
  const { workflowId, runId, flow: name, tenant, closedAt, code, found } = flow;
  const base: Record<string, Json | undefined> = {
    workflowId,
    runId,
    flow: name,
    tenant,
    failedAt: closedAt?.toISOString(),
    code,
  };
  const known = Object.fromEntries(Object.entries(base).filter(([, value]) => value !== undefined)) as JsonObject;
  if (error !== undefined) return { ...known, error: errorDataOf(error) };
  return 'plan' in found ? { ...known, ...planToJson(found.plan, newRunId) } : known;
}

function printOutcomes(outcomes: readonly Outcome[], isDryRun: boolean, { out }: Cli): void {
  if (outcomes.length === 0) {
    out.line('no flow that failed waits to be redriven');
    return;
  }
  for (const line of redriveTable(outcomes, out.style)) out.line(line);
  const refused = outcomes.filter(({ error }) => error !== undefined).length;
  const [done, verb] = [outcomes.length - refused, isDryRun ? 'would go on' : 'redriven'];
  out.line(`${done} ${verb}${refused === 0 ? '' : `, ${refused} cannot go on`}`);
}
