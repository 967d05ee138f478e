import { InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../dsl/durations';
import { flowErrorData, flowErrorToJson } from '../../dsl/errors';
import type { Json, JsonObject } from '../../dsl/json';
import { DEFAULT_QUEUE_PREFIX } from '../../dsl/names';
import type { FlowPlan } from '../../dsl/planning/plan';
import { type Problem, toJsonPointer } from '../../dsl/problems';
import { DEFAULT_TENANT, parseStartInput } from '../../dsl/start';
import { startPurpose } from '../../worker/identity/sealed-token';
import { environmentName } from '../../worker/options';
import type { AddCommand, Cli } from '../cli';
import { errorDataOf, usageError } from '../command-error';
import { beamlineCommand } from '../command-name';
import {
  addConnectionFlags,
  addDataFlags,
  type ConnectionFlags,
  dataTargetOf,
  namespaceOf,
  repeatFlags,
  warnOfMissingKey,
} from '../connection-flags';
import { readDryRun } from '../dry-run-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { printProblems, readFlowFile } from '../flow-file';
import { isFlowName } from '../flow-name';
import type { WatchedFlow } from '../flow-watcher';
import { followFlow } from '../follow-flow';
import { unfollowed } from '../going-on';
import { readJsonArgument } from '../json-argument';
import { STDIN } from '../read-source';
import { checkStart, type FlowStart, newWorkflowId, startFlow, startInput } from '../start-flow';
import { traceStart } from '../start-trace';
import { type TemporalSession, withTemporal } from '../temporal-session';
import { addTokenFlags, readSeal, type TokenFlags } from '../token-flags';
import { uiLink } from '../ui-link';

const EXAMPLES = `
Examples:
  $ beamline run flow.yaml
  $ beamline run flow.yaml --input '{"orderId": "4711"}'
  $ beamline run flow.yaml --input @order.json --tenant acme --id order-4711
  $ beamline run flow.yaml --detach --json
  $ beamline run flow.yaml --dry-run --mocks mocks.yaml
  $ beamline run shop/refund:1.0.0 --input '{"orderId": "4711"}'
  $ beamline run flow.yaml --token-file token.jwt --seal-key seal-key.json
  $ echo '{"n": 1}' | beamline run flow.yaml --input -

The flow's output is printed on stdout as JSON, its steps and everything else on stderr. Ctrl-C stops following; the flow
goes on. With --dry-run nothing is done: stdout has a report of what each step would do, and with --json it is under report.
Exit codes: 0 completed, also where its output is encrypted and the key is not here; 1 failed, cancelled, terminated or
timed out; 2 nothing was started, since the flow, its input or the command line is wrong; 3 Temporal cannot be reached; 130 Ctrl-C.`;

interface RunFlags extends ConnectionFlags, TokenFlags {
  readonly input?: string;
  readonly tenant?: string;
  readonly id?: string;
  readonly priority?: number;
  readonly requestedBy?: string;
  readonly queuePrefix: string;
  readonly timeout?: number;
  readonly detach?: boolean;
  readonly dryRun?: boolean;
  readonly mocks?: string;
  readonly realWaits?: boolean;
  readonly json?: boolean;
}

/** `beamline run FILE` or `beamline run NAMESPACE/NAME:VERSION` */
export const addRun: AddCommand = (command, cli, action) => {
  const queuePrefix = cli.env[environmentName('queue-prefix')] ?? DEFAULT_QUEUE_PREFIX;
  command
    .description('Validates a flow document, starts it and follows its steps until it ends.')
    .argument(
      '<flow>',
      "flow document (YAML or JSON; - reads standard input), or namespace/name:version in the workers' catalog",
    )
    .option('--input <JSON>', 'input of the flow: JSON, @FILE, or - for standard input (default: null)')
    .option('--tenant <NAME>', `owner of the flow and its data (default: that of the token, else ${DEFAULT_TENANT})`)
    .option('--id <ID>', "workflow id, of a dry run after dry-run- (default: the flow's name and some random digits)")
    .addOption(new Option('--priority <N>', '1 (first) to 5 (last) (default: 3)').argParser(parsePriority))
    .option('--requested-by <NAME>', 'who asks for the flow; may not approve it')
    .option(
      '--queue-prefix <NAME>',
      `the flow starts on NAME-io, a dry run on NAME-sandbox (env: ${environmentName('queue-prefix')})`,
      queuePrefix,
    )
    .addOption(
      new Option('--timeout <DURATION>', 'end the flow after this long, e.g. PT30S or PT2H').argParser(parseTimeout),
    )
    .option('--dry-run', 'do nothing: answer the steps, and report what they would have done')
    .option('--mocks <FILE>', 'answers of steps in a dry run, by name or path (YAML or JSON; - for standard input)')
    .option('--real-waits', 'a dry run waits where the flow does')
    .option('--detach', 'print the ids and return, without following the flow')
    .option(
      '--json',
      'print one JSON object: workflowId, runId, status, output or error; of a dry run its report, too',
    );
  addDataFlags(addConnectionFlags(addTokenFlags(command)))
    .addHelpText('after', EXAMPLES)
    .action(action((file: string, flags: RunFlags) => run(file, flags, cli)));
};

function parsePriority(text: string): number {
  if (/^[1-5]$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number from 1 (first) to 5 (last).');
}

function parseTimeout(text: string): number {
  const parsed = parseDuration(text);
  if ('problem' in parsed)
    throw new InvalidArgumentError(`${parsed.problem.charAt(0).toUpperCase()}${parsed.problem.slice(1)}.`);
  if (parsed.ms > 0) return parsed.ms;
  throw new InvalidArgumentError('Expected more than nothing.');
}

async function run(source: string, flags: RunFlags, cli: Cli): Promise<ExitCode> {
  /** Known once the flow has been started; what happens to the connection afterwards does not end the flow. */
  const started: { flow?: WatchedFlow } = {};
  try {
    return await runToEnd(source, { flags, cli, started });
  } catch (error) {
    if (flags.json === true) {
      const { workflowId, runId } = started.flow ?? {};
      const status = started.flow === undefined ? 'NotStarted' : 'Unknown';
      cli.out.line(JSON.stringify({ workflowId, runId, status, error: errorDataOf(error) }));
    }
    throw started.flow === undefined
      ? error
      : unfollowed(error, started.flow.workflowId, {
          beamline: beamlineCommand(cli.cwd),
          connection: repeatFlags(flags),
        });
  }
}

async function runToEnd(
  source: string,
  { flags, cli, started }: { flags: RunFlags; cli: Cli; started: { flow?: WatchedFlow } },
): Promise<ExitCode> {
  const start = await prepare(source, flags, cli);
  if (start === undefined) return EXIT.invalid;
  const target = dataTargetOf(flags, cli);
  const { tenant } = start.input;
  if (tenant === undefined && target.keys?.isEmpty === false) {
    throw usageError('--tenant: expected the tenant whose key encrypts the flow; a token is not read here');
  }
  if (tenant !== undefined) warnOfMissingKey(target.keys, tenant, cli);
  return withTemporal({ ...target, tenant }, async (session) => {
    const flow = await traceStart({ ...start, tenant }, cli, (trace) => startFlow(session.client, start, trace));
    started.flow = flow;
    if (flags.detach === true) return tellStarted(flow, session, flags, cli);
    cli.err.line(`${start.flow} runs as ${flow.workflowId}`);
    return followFlow(flow, flags, cli);
  });
}

/** Undefined where the document has problems, which are printed then. */
async function prepare(source: string, flags: RunFlags, cli: Cli): Promise<FlowStart | undefined> {
  if ([source, flags.input, flags.tokenFile, flags.mocks].filter((name) => name === STDIN).length > 1) {
    throw usageError('- can be given only once');
  }
  if (flags.id?.trim() === '') throw usageError('--id: got an empty text, expected a workflow id');
  if (isFlowName(source, cli)) return prepareByName(source, flags, cli);
  const file = await readFlowFile(source, cli);
  if (file.flow === undefined) {
    printProblems([file], cli.err);
    if (flags.json === true) cli.out.line(JSON.stringify({ status: 'NotStarted', error: invalidFlow(file.problems) }));
    return undefined;
  }
  const { flow, title } = file.plan;
  const start = await startOf(file.flow, flow, { flags, cli, plan: file.plan });
  await checkStart(start.input);
  return { ...start, ...(title === undefined ? {} : { title }) };
}

/** The workers have the document, and check it: nothing is known here but the name. */
async function prepareByName(name: string, flags: RunFlags, cli: Cli): Promise<FlowStart> {
  const start = await startOf(name, name, { flags, cli });
  const parsed = parseStartInput(start.input);
  if ('problems' in parsed) throw usageError(parsed.problems.join('; '));
  return start;
}

async function startOf(
  flow: JsonObject | string,
  name: string,
  { flags, cli, plan }: { flags: RunFlags; cli: Cli; plan?: FlowPlan },
): Promise<FlowStart> {
  const given: Json = flags.input === undefined ? null : await readJsonArgument('--input', flags.input, cli);
  const { priority: priorityKey, requestedBy, queuePrefix, timeout, id } = flags;
  const trial = await readDryRun(flags, cli, plan);
  const givenId = id ?? newWorkflowId(name);
  // Another one than the live flow's, which takes the id of no flow that has completed.
  const workflowId = trial.mode === 'dry-run' ? `dry-run-${givenId}` : givenId;
  const seal = await readSeal(flags, cli);
  const tenant = flags.tenant ?? (seal === undefined ? DEFAULT_TENANT : undefined);
  const token = await seal?.(
    startPurpose({ namespace: namespaceOf(flags), workflowId }, { flow, input: given, tenant, mode: trial.mode }),
  );
  return {
    input: {
      ...startInput(flow, { input: given, tenant, priorityKey, requestedBy, ...trial }),
      ...(token === undefined ? {} : { token }),
    },
    flow: name,
    workflowId,
    queuePrefix,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
  };
}

function invalidFlow(problems: readonly Problem[]): JsonObject {
  const list = problems.map(({ code, path, message }) => ({ code, path: toJsonPointer(path), message }));
  return flowErrorToJson(
    flowErrorData('BLW_FLOW_INVALID', `${problems.length} problem(s)`, { data: { problems: list } }),
  );
}

function tellStarted(flow: WatchedFlow, session: TemporalSession, flags: RunFlags, cli: Cli): ExitCode {
  const { workflowId, runId } = flow;
  const link = uiLink({ ...session, workflowId, runId });
  if (flags.json === true) {
    const ui = link === undefined ? {} : { ui: link };
    cli.out.line(JSON.stringify({ workflowId, runId, status: 'Running', ...ui }));
    return EXIT.done;
  }
  cli.out.line(`workflow id: ${workflowId}`);
  cli.out.line(`run id:      ${runId}`);
  if (link !== undefined) cli.out.line(`UI:          ${link}`);
  return EXIT.done;
}
