import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { DecisionInput } from '../../dsl/approval';
import { RESOLVE_ACTIONS, type Resolution } from '../../dsl/dead-letter';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import type { FlowPlan } from '../../dsl/planning/plan';
import { generateAuthKey } from '../../worker/identity/auth-key';
import { decisionPurpose, resolutionPurpose, startPurpose } from '../../worker/identity/sealed-token';
import { findApproval } from '../approval-client';
import type { ActionWrapper, AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import {
  addConnectionFlags,
  addDataFlags,
  type ConnectionFlags,
  dataTargetOf,
  namespaceOf,
  targetOf,
} from '../connection-flags';
import { lookUpLetter } from '../dead-letter-lookup';
import { type DryRunFlags, readDryRun } from '../dry-run-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { printProblems, readFlowFile } from '../flow-file';
import { isFlowName } from '../flow-name';
import { readJsonArgument } from '../json-argument';
import { STDIN } from '../read-source';
import { withTemporal } from '../temporal-session';
import { checkTenantFlag } from '../tenant-flag';
import {
  addTokenFileFlag,
  addTokenFlags,
  readSeal,
  readToken,
  type Seal,
  type TokenFlags,
  warnOfToken,
} from '../token-flags';

const EXAMPLES = `
Examples:
  $ beamline token keygen --out keys
  $ beamline token show --token-file token.jwt
  $ beamline token seal --token-file token.jwt --for order-7 --flow order.yaml --input @order.json --json > start.json
  $ temporal workflow start --type runFlow --task-queue beamline-io --workflow-id order-7 --input-file start.json

A token is never sent as it is: everything that a workflow is sent can be read in its history. See docs/identity.md.`;

const KEYGEN_EXAMPLES = `
Examples:
  $ beamline token keygen --out keys

Writes auth-key.json, which the workers read (--auth-key) and nobody else may, and seal-key.json, which everybody may have
(--seal-key). Exit codes: 0 done; 2 there are such files already.`;

const SHOW_EXAMPLES = `
Examples:
  $ beamline token show --token-file token.jwt
  $ get-token | beamline token show --token-file -

Nothing is verified. The token itself is not printed. A warning on stderr says where it has expired.`;

const SEAL_EXAMPLES = `
Examples:
  $ beamline token seal --token-file token.jwt --for order-7 --flow order.yaml --input '{"orderId": 7}' --tenant acme
  $ beamline token seal --token-file token.jwt --for order-7 --flow shop/order:1.0.0 --json > start.json
  $ beamline token seal --token-file token.jwt --for dry-run-order-7 --flow order.yaml --dry-run --mocks mocks.yaml --json
  $ beamline token seal --token-file token.jwt --approval order-7/approve --decision approved --json
  $ beamline token seal --token-file token.jwt --dead-letter order-7 --step /do/2/charge --action retry --json

What is sealed is good for this one start, this one decision or this one resolution, and for nothing else: workflow id, flow, input,
tenant and whether it is a dry run, or decision, comment and form, or action, with, input, output and comment have to be the same when it is sent. --json
prints all that is to be sent. A warning on stderr says where workers will most probably not accept the token. Exit codes: 0 done;
2 bad usage; 3 Temporal cannot be reached, which knows the run of an approval or a flow.`;

interface SealFlags extends ConnectionFlags, TokenFlags, DryRunFlags {
  readonly for?: string;
  readonly flow?: string;
  readonly input?: string;
  readonly tenant?: string;
  readonly approval?: string;
  readonly decision?: DecisionInput['decision'];
  readonly comment?: string;
  readonly form?: string;
  readonly deadLetter?: string;
  readonly step?: string;
  readonly action?: Resolution['action'];
  readonly with?: string;
  readonly output?: string;
  readonly json?: boolean;
}

/** `beamline token keygen|show|seal` */
export const addToken: AddCommand = (command, cli, action) => {
  command
    .description('Makes the keys for tokens, seals tokens, and shows what is in one.')
    .addHelpText('after', EXAMPLES);
  command
    .command('keygen')
    .description('Makes the key of the workers, and the public one that clients seal tokens with.')
    .requiredOption('--out <DIR>', 'folder for both; made where it is missing')
    .addHelpText('after', KEYGEN_EXAMPLES)
    .action(action(({ out }: { out: string }) => generate(out, cli)));
  const show = command.command('show').description('Prints header and claims of a token, unverified.');
  addTokenFileFlag(show)
    .addHelpText('after', SHOW_EXAMPLES)
    .action(action((flags: TokenFlags) => showToken(flags, cli)));
  addSeal(command.command('seal'), cli, action);
};

function addSeal(command: Command, cli: Cli, action: ActionWrapper): void {
  command
    .description(
      'Seals a token, for people who start flows, decide or resolve dead letters with the Temporal CLI or UI.',
    )
    .option('--for <ID>', 'workflow id of the flow that will be started')
    .option('--flow <FLOW>', 'its document (- reads standard input), or namespace/name:version')
    .option(
      '--input <JSON>',
      'its input, or that of a retry: JSON, @FILE, or - for standard input (default: null, or none)',
    )
    .option('--tenant <NAME>', 'its tenant, where the start input will have one')
    .option('--dry-run', 'for a dry run of it, and for no live flow')
    .option('--mocks <FILE>', 'answers of its steps, for --json (YAML or JSON; - for standard input)')
    .option('--real-waits', 'it waits where the flow does, for --json')
    .addOption(new Option('--approval <ID>', 'the approval to decide on, in place of a flow').conflicts('for'))
    .addOption(new Option('--decision <DECISION>', 'approved or rejected').choices(['approved', 'rejected']))
    .option('--comment <TEXT>', 'the comment that will be sent')
    .option('--form <JSON>', 'the form that will be sent: JSON, or @FILE')
    .addOption(
      new Option('--dead-letter <ID>', 'the flow whose dead letter is resolved').conflicts(['for', 'approval']),
    )
    .option('--step <STEP>', 'the dead letter; may be left out where one waits')
    .addOption(new Option('--action <ACTION>', 'retry, skip or discard').choices(RESOLVE_ACTIONS))
    .option('--with <JSON>', 'the changes to the arguments that will be sent: JSON, or @FILE')
    .option('--output <JSON>', 'the output that will be sent: JSON, or @FILE')
    .option('--json', 'print the whole start input, decision or resolution, with the token in it');
  addDataFlags(addConnectionFlags(addTokenFlags(command)))
    .addHelpText('after', SEAL_EXAMPLES)
    .action(action((flags: SealFlags) => sealOne(flags, cli)));
}

async function generate(out: string, cli: Cli): Promise<ExitCode> {
  const folder = resolve(cli.cwd, out);
  const { id, privateSet, publicSet } = await generateAuthKey();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // `wx`: a key that is in use is never written over.
    await writeFile(join(folder, 'auth-key.json'), `${JSON.stringify(privateSet, null, 2)}\n`, {
      flag: 'wx',
      mode: 0o600,
    });
    await writeFile(join(folder, 'seal-key.json'), `${JSON.stringify(publicSet, null, 2)}\n`, {
      flag: 'wx',
      mode: 0o644,
    });
  } catch (cause) {
    const { code = 'unknown error', path = folder } = cause as NodeJS.ErrnoException;
    const reason = code === 'EEXIST' ? 'is there already' : `cannot be written (${code})`;
    throw usageError(`${path}: ${reason}`, { help: 'Name another folder; nothing was overwritten.', cause });
  }
  cli.out.line(`key ${id}`);
  cli.out.line(`  ${join(out, 'auth-key.json')}  for the workers (--auth-key), secret`);
  cli.out.line(`  ${join(out, 'seal-key.json')}  for clients (--seal-key), public`);
  return EXIT.done;
}

async function showToken(flags: TokenFlags, cli: Cli): Promise<ExitCode> {
  const token = await readToken(flags, cli);
  if (token === undefined) throw usageError('there is no token; expected --token-file FILE or BEAMLINE_TOKEN');
  cli.out.line(JSON.stringify(contentOf(token), null, 2));
  warnOfToken(token, {}, cli);
  return EXIT.done;
}

function contentOf(token: string): JsonObject {
  try {
    const claims = decodeJwt(token);
    const times = (['iat', 'nbf', 'exp'] as const).flatMap((name) => {
      const seconds = claims[name];
      return typeof seconds === 'number' ? [[name, new Date(seconds * 1_000).toISOString()]] : [];
    });
    return {
      header: decodeProtectedHeader(token) as JsonObject,
      claims: claims as JsonObject,
      times: Object.fromEntries(times) as JsonObject,
    };
  } catch {
    // Without its cause, which may quote the token.
    throw usageError('the token cannot be read: expected a JWT with claims as JSON');
  }
}

async function sealOne(flags: SealFlags, cli: Cli): Promise<ExitCode> {
  refuseMixed(flags);
  const seal = await readSeal(flags, cli);
  if (seal === undefined) throw usageError('there is no token to seal; expected --token-file FILE or BEAMLINE_TOKEN');
  const sent = await sealAny(flags, seal, cli);
  if (sent === undefined) return EXIT.invalid;
  cli.out.line(flags.json === true ? JSON.stringify(sent) : String(sent.token));
  return EXIT.done;
}

async function sealAny(flags: SealFlags, seal: Seal, cli: Cli): Promise<JsonObject | undefined> {
  if (flags.deadLetter !== undefined) return await sealResolution(flags.deadLetter, { flags, seal, cli });
  return flags.approval === undefined ? await sealStart(flags, seal, cli) : await sealDecision(flags, seal, cli);
}

/** What a token is sealed for, and the flags that count for it. */
const SEALED_FOR = [
  { which: 'for a start', flags: ['flow', 'input', 'tenant', 'dryRun', 'mocks', 'realWaits'] },
  { which: 'with --approval', flags: ['decision', 'comment', 'form'] },
  { which: 'with --dead-letter', flags: ['step', 'action', 'with', 'input', 'output', 'comment'] },
] as const;

/** What counts for the one and not for the other would be passed over. */
function refuseMixed(flags: SealFlags): void {
  const own = SEALED_FOR[flags.deadLetter !== undefined ? 2 : flags.approval !== undefined ? 1 : 0];
  const counting: readonly string[] = own.flags;
  const given = SEALED_FOR.flatMap((one) => [...one.flags]).find(
    (name) => flags[name] !== undefined && !counting.includes(name),
  );
  if (given !== undefined) {
    const owners = SEALED_FOR.filter((one) => (one.flags as readonly string[]).includes(given));
    const flag = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw usageError(`--${flag}: counts ${owners.map(({ which }) => which).join(' or ')} only, not ${own.which}`);
  }
  checkTenantFlag(flags.tenant);
  if (
    [flags.tokenFile, flags.flow, flags.input, flags.mocks, flags.form, flags.with, flags.output].filter(
      (name) => name === STDIN,
    ).length > 1
  ) {
    throw usageError('- can be given only once');
  }
}

/** The start input; undefined where the document has problems, which are printed then. */
async function sealStart(flags: SealFlags, seal: Seal, cli: Cli): Promise<JsonObject | undefined> {
  const { for: workflowId, flow: source, tenant } = flags;
  if (workflowId === undefined || source === undefined) {
    throw usageError(
      'expected --for ID and --flow FLOW, --approval ID and --decision DECISION, or --dead-letter ID and --action ACTION',
    );
  }
  const found = await readFlow(source, cli);
  if (found === undefined) return undefined;
  const { flow, plan } = found;
  const input: Json = flags.input === undefined ? null : await readJsonArgument('--input', flags.input, cli);
  const trial = await readDryRun(flags, cli, plan);
  const place = { namespace: namespaceOf(flags), workflowId };
  const start = { flow, input, ...(tenant === undefined ? {} : { tenant }), ...trial };
  return { ...start, token: await seal(startPurpose(place, { flow, input, tenant, mode: trial.mode })) };
}

/** Of one that is named, only the workers have the plan. */
async function readFlow(source: string, cli: Cli): Promise<{ flow: JsonObject | string; plan?: FlowPlan } | undefined> {
  if (isFlowName(source, cli)) return { flow: source };
  const file = await readFlowFile(source, cli);
  if (file.flow !== undefined) return file;
  printProblems([file], cli.err);
  return undefined;
}

/** The argument of `decide`. The run of the approval is looked up: a decision is for that run only. */
async function sealDecision(flags: SealFlags, seal: Seal, cli: Cli): Promise<JsonObject> {
  const { approval = '', decision, comment } = flags;
  if (decision === undefined) throw usageError('--approval: needs --decision approved or rejected');
  const form = flags.form === undefined ? {} : { form: await readJsonArgument('--form', flags.form, cli) };
  const said = { decision, ...(comment === undefined ? {} : { comment }), ...form };
  const place = await withTemporal(targetOf(flags), async ({ client, namespace }) => {
    const { id: workflowId, runId } = await findApproval(client, approval);
    return { namespace, workflowId, runId };
  });
  return { ...said, token: await seal(decisionPurpose(place, said)) };
}

/** The argument of `resolve`. The run and the dead letter are looked up: a resolution is for this failure in this run only. */
async function sealResolution(
  id: string,
  { flags, seal, cli }: { flags: SealFlags; seal: Seal; cli: Cli },
): Promise<JsonObject> {
  const { action, comment } = flags;
  if (action === undefined) throw usageError('--dead-letter: needs --action retry, skip or discard');
  const said: Record<string, Json> = { ...(comment === undefined ? {} : { comment }) };
  for (const key of ['with', 'input', 'output'] as const) {
    const value = flags[key];
    if (value !== undefined) said[key] = await readJsonArgument(`--${key}`, value, cli);
  }
  if (said.with !== undefined && !isJsonObject(said.with)) throw usageError('--with: expected a JSON object');
  const resolution: Omit<Resolution, 'id'> = { action, ...said };
  return await withTemporal(dataTargetOf(flags, cli), async ({ client, namespace }) => {
    const { flow, letter } = await lookUpLetter(client, id, flags.step);
    const place = { namespace, workflowId: flow.id, runId: flow.runId };
    const token = await seal(resolutionPurpose(place, letter, resolution));
    return { id: letter.id, action, ...said, token };
  });
}
