import type { FlowLibrary } from '../../dsl/catalog/library';
import { dataProblems, type OnlyInput } from '../../dsl/dry-run/only-input';
import { flowErrorData, flowErrorToJson } from '../../dsl/errors';
import { describeJsonType, isJsonObject, type Json, type JsonObject, setOwn } from '../../dsl/json';
import type { FlowPlan } from '../../dsl/planning/plan';
import { DEFAULT_TENANT, type StartInput } from '../../dsl/start';
import { openCatalog } from '../catalog-check';
import type { AddCommand, Cli } from '../cli';
import { CommandError, errorDataOf, usageError } from '../command-error';
import { readDryRun } from '../dry-run-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { printProblems, readFlowFile } from '../flow-file';
import { isFlowName } from '../flow-name';
import { readJsonArgument } from '../json-argument';
import { STDIN } from '../read-source';
import { withSandbox } from '../sandbox-engine';
import { checkStart } from '../start-flow';
import { printStep } from '../step-report';
import { Stopped, StopRequest } from '../stop-request';

const EXAMPLES = `
Examples:
  $ beamline step flow.yaml getOrder --input '{"orderId": "4711"}'
  $ beamline step flow.yaml charge --input @line.json --mock '{"output": {"ok": true}}'
  $ beamline step flow.yaml charge --mock '[{"error": {"code": "BLW_HTTP_STATUS", "status": 503}}, {"output": 1}]'
  $ beamline step flow.yaml /do/1/each/do/0/charge --data '{"variables": {"line": "a"}, "steps": {"getOrder": {"id": 7}}}'
  $ beamline step flow.yaml each --input @order.json --mocks mocks.yaml --json
  $ beamline step shop/refund:1.0.0 pay --catalog flows

Runs one step of a flow and the steps in it, as a dry run: nothing is done, and no server is needed, since the command starts one of its
own and removes it afterwards. The input is what the step before would put out. --data gives what the flow around it would have:
{"context": …, "variables": {"item": …}, "steps": {"NAME": output}, "workflowInput": …}. Exit codes: 0 the step would complete; 1 it
would fail; 2 the flow, the step, what is given to it or the command line is wrong, and nothing was run; 3 there is no Temporal server
to be had; 130 Ctrl-C.`;

interface StepFlags {
  readonly input?: string;
  readonly data?: string;
  readonly mock?: string;
  readonly mocks?: string;
  readonly tenant: string;
  readonly realWaits?: boolean;
  readonly policy?: string;
  readonly catalog?: string;
  readonly json?: boolean;
}

/** `beamline step FLOW STEP` */
export const addStep: AddCommand = (command, cli, action) => {
  command
    .description('Tries one step of a flow alone, with what it is given; nothing is done.')
    .argument('<flow>', 'flow document (YAML or JSON; - reads standard input), or namespace/name:version in --catalog')
    .argument('<step>', 'name of the step, or its path such as /do/1/each/do/0/charge')
    .option('--input <JSON>', 'raw input of the step: JSON, @FILE, or - for standard input (default: null)')
    .option(
      '--data <JSON>',
      'what the flow would give it: an object with context, variables, steps, workflowInput; or @FILE',
    )
    .option('--mock <JSON>', 'what the step is answered, or a list with an answer for each attempt; or @FILE')
    .option('--mocks <FILE>', 'answers of the steps in it, by name or path (YAML or JSON; - for standard input)')
    .option('--tenant <NAME>', 'owner of the flow', DEFAULT_TENANT)
    .option('--real-waits', 'waits and pauses take their time')
    .option('--catalog <DIR>', 'folder of the flows and functions that flows refer to')
    .option('--policy <FILE>', 'tenants, what they may do and how much: scopes and quotas count')
    .option('--json', 'print the report as one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action(action((flow: string, step: string, flags: StepFlags) => tryStep({ flow, step }, flags, cli)));
};

/** What is tried. */
interface Target {
  readonly flow: string;
  readonly step: string;
}

async function tryStep(target: Target, flags: StepFlags, cli: Cli): Promise<ExitCode> {
  try {
    return await tryToEnd(target, flags, cli);
  } catch (error) {
    if (error instanceof Stopped) return EXIT.interrupted;
    if (flags.json === true) cli.out.line(JSON.stringify({ status: 'NotStarted', error: errorDataOf(error) }));
    throw error;
  }
}

async function tryToEnd(target: Target, flags: StepFlags, cli: Cli): Promise<ExitCode> {
  if ([target.flow, flags.input, flags.data, flags.mock, flags.mocks].filter((name) => name === STDIN).length > 1)
    throw usageError('- can be given only once');
  const prepared = await prepare(target, flags, cli);
  if (prepared === undefined) return EXIT.invalid;
  const { start, name } = prepared;
  const stop = new StopRequest(() => undefined);
  try {
    const report = await withSandbox(flags, { cli, stop }, (sandbox) => sandbox.run(start, name));
    if (flags.json === true) cli.out.line(JSON.stringify(report));
    else printStep(report, start.only, cli.out);
    return report.status === 'completed' ? EXIT.done : EXIT.failed;
  } finally {
    stop.release();
  }
}

type StepStart = StartInput & { readonly only: OnlyInput };

/** All that is wrong is found before anything starts. Undefined where the document has problems, which are printed then. */
async function prepare(
  target: Target,
  flags: StepFlags,
  cli: Cli,
): Promise<{ start: StepStart; name: string } | undefined> {
  const library = flags.catalog === undefined ? undefined : await openCatalog(flags.catalog, cli);
  const found = await findFlow(target.flow, { flags, cli, library });
  if (found === undefined) return undefined;
  const start = await startOf(found, target.step, { flags, cli });
  await check(start, library);
  return { start, name: found.name };
}

async function check(start: StepStart, library: FlowLibrary | undefined): Promise<void> {
  try {
    await checkStart(start, library === undefined ? undefined : { read: async () => library });
  } catch (error) {
    // Nobody has written a start input here.
    const isOfStart = error instanceof CommandError && error.error.data.code === 'BLW_START_INVALID';
    throw isOfStart ? new CommandError(error.error, error.exitCode, 'See `beamline step --help`.') : error;
  }
}

/** `plan`: absent of a flow of the catalog. */
interface FoundFlow {
  readonly flow: JsonObject | string;
  readonly name: string;
  readonly plan?: FlowPlan;
}

async function findFlow(
  source: string,
  { flags, cli, library }: { flags: StepFlags; cli: Cli; library: FlowLibrary | undefined },
): Promise<FoundFlow | undefined> {
  if (isFlowName(source, cli)) {
    if (library !== undefined) return { flow: source, name: source };
    throw usageError(`${source}: there is no such file, and no catalog to find a flow of that name in`, {
      help: 'Name a file, or give --catalog the folder of the flows.',
    });
  }
  const file = await readFlowFile(source, cli, library);
  if (file.flow !== undefined) return { flow: file.flow, name: file.plan.flow, plan: file.plan };
  printProblems([file], cli.err);
  if (flags.json === true) {
    const error = flowErrorToJson(flowErrorData('BLW_FLOW_INVALID', `${file.problems.length} problem(s)`));
    cli.out.line(JSON.stringify({ status: 'NotStarted', error }));
  }
  return undefined;
}

async function startOf(
  { flow, plan }: FoundFlow,
  step: string,
  { flags, cli }: { flags: StepFlags; cli: Cli },
): Promise<StepStart> {
  const { tenant, mocks: file, realWaits } = flags;
  const input = flags.input === undefined ? null : await readJsonArgument('--input', flags.input, cli);
  const only = { step, ...(await readData(flags.data, cli)) };
  const trial = await readDryRun(
    { dryRun: true, ...(file === undefined ? {} : { mocks: file }), realWaits: realWaits === true },
    cli,
    plan,
  );
  const mocks = await withMock(trial.mocks, step, { flags, cli });
  return { flow, input, tenant, ...trial, ...(mocks === undefined ? {} : { mocks }), only };
}

async function readData(data: string | undefined, cli: Cli): Promise<Omit<OnlyInput, 'step'>> {
  if (data === undefined) return {};
  const value: Json = await readJsonArgument('--data', data, cli);
  if (!isJsonObject(value))
    throw usageError(`--data: got ${describeJsonType(value)}, expected an object such as {"variables": {"item": 1}}`);
  const problems = dataProblems(value);
  if (problems.length > 0) throw usageError(`--data: ${problems.join('; ')}`);
  return value;
}

async function withMock(
  mocks: JsonObject | undefined,
  step: string,
  { flags, cli }: { flags: StepFlags; cli: Cli },
): Promise<JsonObject | undefined> {
  if (flags.mock === undefined) return mocks;
  if (mocks !== undefined && Object.hasOwn(mocks, step))
    throw usageError(`--mock: --mocks answers ${step} as well, expected one of them`);
  const all: JsonObject = { ...mocks };
  setOwn(all, step, await readJsonArgument('--mock', flags.mock, cli));
  return all;
}
