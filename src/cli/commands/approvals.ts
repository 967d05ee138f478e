import { type Command, Option } from 'commander';
import type { DecisionInput } from '../../dsl/approval';
import { decisionPurpose } from '../../worker/identity/sealed-token';
import { decide, findApproval, readState } from '../approval-client';
import { listApprovals } from '../approval-list';
import { approvalTable, approvalToJson, decisionLine, printApproval, waitingToJson } from '../approval-view';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { addConnectionFlags, addDataFlags, type ConnectionFlags, dataTargetOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { readJsonArgument } from '../json-argument';
import { limitUpTo } from '../limit-flag';
import { withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';
import { addTokenFlags, readSeal, type TokenFlags } from '../token-flags';
import { tellUnreadableRows } from '../unreadable-flow';

const MAX_LISTED = 1_000;

const EXAMPLES = `
Examples:
  $ beamline approvals list
  $ beamline approvals show order-4711/approveOrder
  $ beamline approvals approve order-4711 --by alice --group finance --comment "checked the invoice"
  $ beamline approvals reject order-4711/approveOrder --by alice --comment "wrong customer"

An ID is the approval's workflow id, or the flow's where exactly one of its approvals waits. Exit codes: 0 done; 1 the
decision was refused; 2 bad usage, or there is no such approval; 3 Temporal cannot be reached.`;

const LIST_EXAMPLES = `
Examples:
  $ beamline approvals list --tenant acme
  $ beamline approvals list --json`;

const SHOW_EXAMPLES = `
Examples:
  $ beamline approvals show order-4711/approveOrder
  $ beamline approvals show order-4711 --json`;

const decideExamples = (command: string) => `
Examples:
  $ beamline approvals ${command} order-4711/approveOrder --by alice
  $ beamline approvals ${command} order-4711 --by bob --group finance --comment "as agreed"
  $ beamline approvals ${command} order-4711 --by bob --form '{"costCentre": 17}'
  $ beamline approvals ${command} order-4711 --token-file token.jwt --seal-key seal-key.json`;

interface ListFlags extends ConnectionFlags {
  readonly tenant?: string;
  readonly limit: number;
  readonly json?: boolean;
}

interface ShowFlags extends ConnectionFlags {
  readonly json?: boolean;
}

interface DecideFlags extends ConnectionFlags, TokenFlags {
  readonly by?: string;
  readonly group?: readonly string[];
  readonly comment?: string;
  readonly form?: string;
  readonly json?: boolean;
}

/** `beamline approvals list|show|approve|reject` */
export const addApprovals: AddCommand = (command, cli, action) => {
  command.description('Lists approvals that wait for people, and decides on them.').addHelpText('after', EXAMPLES);
  const list = command
    .command('list')
    .description('Lists the approvals that wait, the newest first.')
    .option('--tenant <NAME>', 'only those of this tenant')
    .addOption(new Option('--limit <N>', 'at most so many').default(100).argParser(limitUpTo(MAX_LISTED)))
    .option('--json', 'print one JSON object: approvals, hasMore');
  addDataFlags(addConnectionFlags(list))
    .addHelpText('after', LIST_EXAMPLES)
    .action(action((flags: ListFlags) => showList(flags, cli)));
  const show = command
    .command('show')
    .description('Shows what an approval is about, and the decisions on it.')
    .argument('<id>', 'id of the approval or of its flow')
    .option('--json', 'print its state as one JSON object');
  addDataFlags(addConnectionFlags(show))
    .addHelpText('after', SHOW_EXAMPLES)
    .action(action((id: string, flags: ShowFlags) => showOne(id, flags, cli)));
  addDecision(command, 'approve')
    .description('Approves; what the approval says against it (wrong person, decided already) is told.')
    .action(action((id: string, flags: DecideFlags) => decideOn(id, { decision: 'approved', flags, cli })));
  addDecision(command, 'reject')
    .description('Rejects; one rejection is enough.')
    .action(action((id: string, flags: DecideFlags) => decideOn(id, { decision: 'rejected', flags, cli })));
};

function addDecision(parent: Command, name: 'approve' | 'reject'): Command {
  const command = parent
    .command(name)
    .argument('<id>', 'id of the approval or of its flow')
    .option('--by <NAME>', 'who decides; needed where no token says it')
    .addOption(new Option('--group <NAME>', 'a group that the decider is in (may be repeated)').argParser(append))
    .option('--comment <TEXT>', 'why')
    .option('--form <JSON>', 'the form that the approval asks for: JSON, @FILE, or - for standard input')
    .option('--json', "print the approval's state as one JSON object");
  return addDataFlags(addConnectionFlags(addTokenFlags(command))).addHelpText('after', decideExamples(name));
}

function append(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}

async function showList(flags: ListFlags, cli: Cli): Promise<ExitCode> {
  const { tenant, limit } = flags;
  checkTenantFlag(tenant);
  const { approvals, hasMore } = await withTemporal(dataTargetOf(flags, cli), ({ client }) =>
    listApprovals(client, { tenant, limit }),
  );
  if (flags.json === true) {
    cli.out.line(JSON.stringify({ approvals: approvals.map(waitingToJson), hasMore }));
    return EXIT.done;
  }
  if (approvals.length === 0) cli.out.line('no approval waits');
  else for (const line of approvalTable(approvals, Date.now(), cli.out.style)) cli.out.line(line);
  const unreadable = approvals.find((approval) => approval.unreadable !== undefined)?.unreadable;
  if (unreadable !== undefined) tellUnreadableRows(unreadable, cli);
  if (hasMore) cli.err.line(`there are more than ${limit}; see them with --limit`);
  return EXIT.done;
}

async function showOne(id: string, flags: ShowFlags, cli: Cli): Promise<ExitCode> {
  const { found, state } = await withTemporal(dataTargetOf(flags, cli), async ({ client }) => {
    const approval = await findApproval(client, id);
    return { found: approval.id, state: await readState(client, approval) };
  });
  if (flags.json === true) cli.out.line(JSON.stringify(approvalToJson(found, state)));
  else printApproval(found, state, cli.out);
  return EXIT.done;
}

async function decideOn(
  id: string,
  { decision, flags, cli }: { decision: DecisionInput['decision']; flags: DecideFlags; cli: Cli },
): Promise<ExitCode> {
  const { by, group, comment } = flags;
  const seal = await readSeal(flags, cli);
  if (by === undefined && seal === undefined) throw usageError('who decides? Expected --by NAME, or --token-file FILE');
  const input: DecisionInput = {
    decision,
    ...(by === undefined ? {} : { by }),
    ...(group === undefined ? {} : { groups: group }),
    ...(comment === undefined ? {} : { comment }),
    ...(flags.form === undefined ? {} : { form: await readJsonArgument('--form', flags.form, cli) }),
  };
  const { found, state } = await withTemporal(dataTargetOf(flags, cli), async ({ client }) => {
    const approval = await findApproval(client, id);
    const place = { namespace: client.options.namespace, workflowId: approval.id, runId: approval.runId };
    const token = await seal?.(decisionPurpose(place, input));
    const sent = token === undefined ? input : { ...input, token };
    return { found: approval.id, state: await decide(client, approval, sent) };
  });
  cli.out.line(flags.json === true ? JSON.stringify(approvalToJson(found, state)) : decisionLine(state));
  return EXIT.done;
}
