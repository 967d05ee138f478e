import { type Command, InvalidArgumentError, Option } from 'commander';
import type { CatalogIndex } from '../../dsl/catalog/catalog-index';
import { parseFlowReference } from '../../dsl/catalog/references';
import { jsonBytes } from '../../dsl/encoded-json';
import { flowErrorToJson } from '../../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { DEFAULT_QUEUE_PREFIX } from '../../dsl/names';
import { readSchedule } from '../../dsl/schedule/schedule';
import { DEFAULT_TENANT, type StartInput } from '../../dsl/start';
import { environmentName } from '../../worker/options';
import { openCatalog } from '../catalog-check';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import {
  addConnectionFlags,
  addEncryptionKeysFlag,
  type ConnectionFlags,
  keysOf,
  targetOf,
  warnOfMissingKey,
} from '../connection-flags';
import { authorize } from '../deploy/authorize';
import { type DeployResult, deployFlow, undeployFlow } from '../deploy/deploy-flow';
import { type DeployedFlow, listDeployed } from '../deploy/deployed-list';
import { type Deployment, deploymentKey, makeDeployment, timingOf } from '../deploy/deployment';
import { refuseWhereTokenIsNeeded } from '../deploy/token-need';
import { EXIT, type ExitCode } from '../exit-codes';
import { type FlowFile, printProblems, readFlowFile } from '../flow-file';
import { isFlowName } from '../flow-name';
import { readJsonArgument } from '../json-argument';
import { printable } from '../output';
import { checkStart, startInput } from '../start-flow';
import { formatTable } from '../table';
import { withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';
import { addTokenFlags, readSeal, type TokenFlags } from '../token-flags';
import { tellUnreadableRows } from '../unreadable-flow';

const EXAMPLES = `
Examples:
  $ beamline deploy report.yaml
  $ beamline deploy report.yaml --tenant acme --input '{"region": "eu"}' --dry-run
  $ beamline deploy shop/report:1.2.0 --catalog flows/
  $ beamline deploy report.yaml --paused
  $ beamline deploy report.yaml --delete
  $ beamline deploy report.yaml --tenant acme --token-file token.jwt --seal-key seal-key.json
  $ beamline deploy list

Makes Temporal run each flow as its \`schedule\` says, and takes away what an earlier version had; doing it twice changes
nothing. A flow that is given by its name is looked up by the workers, at each run. Exit codes: 0 done; 2 a flow has problems
or no schedule, nothing was deployed; 3 Temporal cannot be reached.`;

const LIST_EXAMPLES = `
Examples:
  $ beamline deploy list
  $ beamline deploy list --tenant acme --json

Flows that events start are known to the event bus of their tenant alone, and not listed.`;

interface DeployFlags extends ConnectionFlags, TokenFlags {
  readonly tenant: string;
  readonly input?: string;
  readonly priority?: number;
  readonly requestedBy?: string;
  readonly queuePrefix: string;
  readonly catalog?: string;
  readonly dryRun?: boolean;
  readonly delete?: boolean;
  readonly paused?: boolean;
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** `beamline deploy FLOW...` and `beamline deploy list` */
export const addDeploy: AddCommand = (command, cli, action) => {
  const queuePrefix = cli.env[environmentName('queue-prefix')] ?? DEFAULT_QUEUE_PREFIX;
  command
    .description('Lets flows run by their schedules: every, cron, after, on.')
    .argument('<flow...>', 'flow documents, or namespace/name:version of flows in a catalog')
    .option('--tenant <NAME>', 'owner of the flows and their data', DEFAULT_TENANT)
    .option('--input <JSON>', 'input of each run: JSON, or @FILE (default: null)')
    .addOption(new Option('--priority <N>', '1 (first) to 5 (last) (default: 3)').argParser(parsePriority))
    .option('--requested-by <NAME>', 'who asks for the flows; may not approve them')
    .option('--queue-prefix <NAME>', `flows start on NAME-io (env: ${environmentName('queue-prefix')})`, queuePrefix)
    .option('--catalog <DIR>', "the workers' catalog: checks what the flows refer to")
    .option('--dry-run', 'say what would change, and change nothing (to try a flow: `beamline run --dry-run`)')
    .addOption(new Option('--delete', 'take the flows off their schedules; what runs goes on').conflicts('paused'))
    .addOption(new Option('--paused', 'deploy, and begin no run').conflicts('resume'))
    .option('--resume', 'deploy, and end a pause')
    .option('--json', 'print one JSON object');
  addEncryptionKeysFlag(addConnectionFlags(addTokenFlags(command)))
    .addHelpText('after', EXAMPLES)
    .action(action((sources: string[], flags: DeployFlags) => deploy(sources, flags, cli)));
  addList(command, cli, action);
};

const addList: AddCommand = (parent, cli, action) => {
  const list: Command = parent
    .command('list')
    .description('Lists what runs by itself, when, and whether it is paused.')
    .option('--tenant <NAME>', 'only those of this tenant')
    .option('--json', 'print one JSON object: deployments');
  parent.enablePositionalOptions();
  addEncryptionKeysFlag(addConnectionFlags(list))
    .addHelpText('after', LIST_EXAMPLES)
    .action(action((flags: ConnectionFlags & { tenant?: string; json?: boolean }) => showList(flags, cli)));
};

function parsePriority(text: string): number {
  if (/^[1-5]$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 1 (first) to 5 (last).');
}

/** A flow that was read, as it was named on the command line. */
type NamedFlow = FlowFile & { readonly source: string };

async function deploy(sources: readonly string[], flags: DeployFlags, cli: Cli): Promise<ExitCode> {
  checkTenantFlag(flags.tenant);
  if (flags.delete === true && flags.tokenFile !== undefined) {
    throw usageError(
      '--token-file counts for nothing with --delete: no token says who may take flows off their schedules',
      {
        help: "That is a matter of Temporal's own authorizer. Leave --token-file out.",
      },
    );
  }
  const index = flags.catalog === undefined ? undefined : await openCatalog(flags.catalog, cli);
  if (flags.delete === true) return deleteAll(await namesOf(sources, index, cli), flags, cli);
  const files: NamedFlow[] = [];
  for (const source of sources) files.push({ ...(await readNamed(source, index, { flags, cli })), source });
  if (files.some(({ problems }) => problems.length > 0)) {
    printProblems(files, cli.err);
    return EXIT.invalid;
  }
  const deployments: Deployment[] = [];
  for (const file of files) deployments.push(await deploymentOf(file, index, { flags, cli }));
  const isPaused = flags.paused === true ? true : flags.resume === true ? false : undefined;
  const isDryRun = flags.dryRun === true;
  const seal = await readSeal(flags, cli);
  let hasAsked = false;
  return report(deployments, { flags, cli }, async (client, deployment) => {
    // A dry run asks nobody for anything.
    if (seal === undefined && !isDryRun && !hasAsked) await refuseWhereTokenIsNeeded(client, deployment, cli);
    hasAsked = true;
    const authorized = seal === undefined || isDryRun ? deployment : await authorize(client, deployment, seal);
    return deployFlow(client, authorized, { isPaused, isDryRun });
  });
}

async function readNamed(
  source: string,
  index: CatalogIndex | undefined,
  { flags, cli }: { flags: DeployFlags; cli: Cli },
): Promise<FlowFile> {
  if (!isFlowName(source, cli)) return readFlowFile(source, cli, index);
  const reference = parseFlowReference(source);
  if (index === undefined || flags.catalog === undefined || 'problem' in reference) {
    throw usageError(`${source}: the schedule of a flow in a catalog has to be read`, { help: 'Add --catalog DIR.' });
  }
  const found = index.findFlow(reference);
  if ('code' in found) return { name: source, problems: [{ code: found.code, path: [], message: found.message }] };
  return readFlowFile(`${flags.catalog}/${found.source}`, cli, index);
}

async function deploymentOf(
  file: NamedFlow,
  index: CatalogIndex | undefined,
  { flags, cli }: { flags: DeployFlags; cli: Cli },
): Promise<Deployment> {
  if (file.flow === undefined) throw new Error(`${file.name} has problems`);
  const schedule = readSchedule(file.flow);
  if (schedule === undefined) {
    throw usageError(`${file.name}: the flow has no \`schedule\``, {
      help: 'Add one (every, cron, after or on), or start the flow with `beamline run`.',
    });
  }
  if (schedule.on !== undefined) refuseForEvents(flags, file.name);
  const given: Json = flags.input === undefined ? null : await readJsonArgument('--input', flags.input, cli);
  const { tenant, priority: priorityKey, requestedBy, queuePrefix } = flags;
  const flow = isFlowName(file.source, cli) ? file.source : file.flow;
  const start = { ...startInput(flow, { input: given, tenant, priorityKey, requestedBy }), tenant };
  // The events that start a flow are its input, so that nothing of it is known yet.
  if (schedule.on === undefined) await checkStart(start, index === undefined ? undefined : { read: async () => index });
  refuseTooLarge(start, file.name);
  // OWS's own where none is named.
  const { evaluate } = file.flow;
  const language = isJsonObject(evaluate) && typeof evaluate.language === 'string' ? evaluate.language : 'jq';
  return makeDeployment(start, { flow: file.plan.flow, language, schedule, queuePrefix });
}

/** The event bus starts such a flow, with the events and nothing else. */
function refuseForEvents({ input, priority, requestedBy }: DeployFlags, name: string): void {
  const given = Object.entries({ '--input': input, '--priority': priority, '--requested-by': requestedBy });
  const [flag] = given.find(([, value]) => value !== undefined) ?? [];
  if (flag === undefined) return;
  throw usageError(`${name}: the input of a flow that events start is the events; leave ${flag} out`);
}

/** Temporal takes 2 MiB in one argument, and a schedule cannot keep its data anywhere else: it may run for years. */
const MAX_DEPLOYED_BYTES = 1_900_000;

function refuseTooLarge(start: StartInput, name: string): void {
  const size = jsonBytes(start);
  if (size <= MAX_DEPLOYED_BYTES) return;
  throw usageError(
    `${name}: the flow and its input have ${size} bytes, at most ${MAX_DEPLOYED_BYTES} can be deployed`,
    {
      help: "Put the flow into the workers' catalog and deploy it by its name, with --catalog DIR.",
    },
  );
}

/** A flow that is taken off may be gone from its file: its name is enough. */
async function namesOf(sources: readonly string[], index: CatalogIndex | undefined, cli: Cli): Promise<string[]> {
  const names: string[] = [];
  for (const source of sources) {
    if (isFlowName(source, cli)) {
      names.push(source);
      continue;
    }
    const file = await readFlowFile(source, cli, index);
    if (file.flow === undefined) {
      printProblems([file], cli.err);
      throw usageError(`${file.name} has problems, so that its name is not known`, {
        help: 'Write namespace/name instead.',
      });
    }
    names.push(file.plan.flow);
  }
  return names;
}

function deleteAll(names: readonly string[], flags: DeployFlags, cli: Cli): Promise<ExitCode> {
  const keys = names.map((flow) => ({ ...deploymentKey(flags.tenant, flow, flags.queuePrefix), flow }));
  return report(keys, { flags, cli }, (client, key) => undeployFlow(client, key, flags.dryRun === true));
}

async function report<T extends { readonly id: string; readonly flow: string } & Partial<Deployment>>(
  items: readonly T[],
  { flags, cli }: { flags: DeployFlags; cli: Cli },
  work: (client: Parameters<typeof deployFlow>[0], item: T) => Promise<DeployResult[]>,
): Promise<ExitCode> {
  const done: JsonObject[] = [];
  // Temporal adds the time to the workflow ids of a schedule's runs.
  const target = { ...targetOf(flags), keys: keysOf(flags, cli), tenant: flags.tenant, isBound: false };
  if (flags.delete !== true) warnOfMissingKey(target.keys, flags.tenant, cli);
  await withTemporal(target, async ({ client }) => {
    for (const item of items) {
      const results = await work(client, item);
      const { id, flow, schedule } = item;
      done.push({ id, flow, results: results.map((result) => ({ ...result, changes: [...result.changes] })) });
      if (flags.json === true) continue;
      const when = schedule === undefined ? '' : `, ${timingOf(schedule)}`;
      if (results.length === 0) cli.out.line(`nothing: ${id} is not deployed`);
      for (const result of results) printResult(result, `${id} ${flow}${when}`, { flags, cli });
    }
  });
  if (flags.json === true) cli.out.line(JSON.stringify({ dryRun: flags.dryRun === true, deployments: done }));
  return EXIT.done;
}

function printResult(
  { kind, action, changes, isPaused }: DeployResult,
  what: string,
  { flags, cli }: { flags: DeployFlags; cli: Cli },
): void {
  const would = flags.dryRun === true && action !== 'unchanged' ? 'would be ' : '';
  cli.out.line(printable(`${would}${action}: ${kind} ${what}${isPaused ? ' (paused; go on with --resume)' : ''}`));
  for (const change of changes) cli.out.line(`  ${printable(change)}`);
}

async function showList(flags: ConnectionFlags & { tenant?: string; json?: boolean }, cli: Cli): Promise<ExitCode> {
  checkTenantFlag(flags.tenant);
  const target = { ...targetOf(flags), keys: keysOf(flags, cli) };
  const deployments = await withTemporal(target, ({ client }) => listDeployed(client, flags.tenant));
  if (flags.json === true) cli.out.line(JSON.stringify({ deployments: deployments.map(deployedToJson) }));
  else if (deployments.length === 0) cli.out.line('nothing is deployed');
  else {
    const rows = deployments.map((deployed) => rowOf(deployed).map(printable));
    for (const line of formatTable(['ID', 'FLOW', 'WHEN', 'NEXT', 'STATE'], rows, cli.out.style)) cli.out.line(line);
  }
  const unreadable = deployments.find((deployed) => deployed.unreadable !== undefined)?.unreadable;
  if (unreadable !== undefined) tellUnreadableRows(unreadable, cli);
  return EXIT.done;
}

function rowOf({ id, flow, when, next, kind, isPaused }: DeployedFlow): string[] {
  const nextRun = next?.toISOString() ?? (kind === 'repeat' && isPaused === false ? 'after the one before' : '');
  return [id, flow, when, nextRun, isPaused === undefined ? '?' : isPaused ? 'paused' : 'active'];
}

/** What scripts read of it; `error` says why the rest cannot be read. */
function deployedToJson({ unreadable, ...deployed }: DeployedFlow): object {
  return unreadable === undefined ? deployed : { ...deployed, error: flowErrorToJson(unreadable.data) };
}
