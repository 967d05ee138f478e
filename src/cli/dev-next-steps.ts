import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RUN_FLOW, taskQueueOf } from '../dsl/names';
import { DEFAULT_BLOB_ROOT } from '../worker/options';
import { EXAMPLES_FOLDER } from '../worker/package-files';
import type { Policy } from '../worker/policy/policy';
import { findAllowing } from '../worker/policy/scope-cover';
import type { Cli } from './cli';
import { beamlineCommand } from './command-name';
import { repeatFlags } from './connection-flags';
import type { DevParts } from './dev-guide';
import { shellWord } from './output';
import { readPolicyDocument } from './policy-document';
import { shortPath } from './short-path';

/** The address that everything uses where nothing else is said. */
const DEFAULT_ADDRESS = '127.0.0.1:7233';

/** The example that is proposed, its input where it takes one, and what a tenant needs to run it. */
const EXAMPLE = 'hello.yaml';
const EXAMPLE_INPUT = 'hello.input.json';
const EXAMPLE_SCOPES = [
  ...['flow:start', 'block:fs.put', 'block:fs.get', 'resources:io'],
  ...['blob:write:greetings/hello.txt', 'blob:read:greetings/hello.txt'],
];

/** A flow that needs nothing but to be started, small enough for a command line. */
const TINY_FLOW = {
  document: { dsl: '1.0.3', namespace: 'try', name: 'hello', version: '1.0.0' },
  do: [{ hello: { set: { message: 'Hello' } } }],
};

/** Where people put their token, in the commands that they are told. */
const TOKEN_FILE = 'token.jwt';

/** The workflow id of the flow that the Temporal CLI starts. */
const WORKFLOW_ID = 'hello-1';

/** A flow as `run` and `token seal` take it, with what is to come before and after them. */
interface FlowToRun {
  readonly before: string;
  readonly source: string;
  readonly after: string;
  /** Whose flow it is; absent: nothing has to be said. */
  readonly tenant?: string;
}

/** Prints commands to go on with, to be copied into another terminal in the same folder: as they are, they work. */
export async function printNextSteps(parts: DevParts, cli: Cli): Promise<void> {
  const { config } = parts;
  const policy = config.policyFile === undefined ? undefined : await readPolicy(config.policyFile, cli);
  const flow = chooseFlow(policy, cli);
  cli.out.line(`\n${introduction(parts, { policy, flow }, cli)}`);
  for (const command of commandsFor(parts, flow, cli)) cli.out.line(`  ${command}`);
  cli.out.line('Ctrl-C here stops the worker and the server.\n');
}

/** The worker has read it before. */
async function readPolicy(file: string, cli: Cli): Promise<Policy | undefined> {
  return (await readPolicyDocument(file, cli)).policy;
}

/** The example, where somebody may run it; undefined where nobody may start flows. */
function chooseFlow(policy: Policy | undefined, { cwd }: Cli): FlowToRun | undefined {
  const tiny = { before: `echo '${JSON.stringify(TINY_FLOW)}' | `, source: '-', after: '' };
  const example = exampleToRun(cwd) ?? tiny;
  if (policy === undefined) return example;
  const tenants = [...policy.tenants.values()];
  const mayAll = (needed: readonly string[]) =>
    tenants.find(({ scopes }) => needed.every((scope) => findAllowing(scopes, scope) !== undefined))?.name;
  const ofExample = mayAll(EXAMPLE_SCOPES);
  if (ofExample !== undefined) return { ...example, tenant: ofExample };
  const starter = mayAll(['flow:start']);
  return starter === undefined ? undefined : { ...tiny, tenant: starter };
}

function exampleToRun(cwd: string): FlowToRun | undefined {
  const names = existsSync(EXAMPLES_FOLDER) ? readdirSync(EXAMPLES_FOLDER) : [];
  const at = (name: string) => shellWord(shortPath(join(EXAMPLES_FOLDER, name), cwd));
  if (!names.includes(EXAMPLE)) return undefined;
  const after = names.includes(EXAMPLE_INPUT) ? ` --input @${at(EXAMPLE_INPUT)}` : '';
  return { before: '', source: at(EXAMPLE), after };
}

function introduction(
  { config }: DevParts,
  { policy, flow }: { policy: Policy | undefined; flow: FlowToRun | undefined },
  cli: Cli,
): string {
  if (flow === undefined) {
    const file = shellWord(shortPath(config.policyFile ?? '', cli.cwd));
    return `No tenant of the policy may start flows: give one the scope flow:start (${beamlineCommand(cli.cwd)} policy show ${file}).`;
  }
  if (config.auth.mode === 'none') return 'What to do next, in another terminal:';
  const { issuer = '', audience = '' } = policy?.identity ?? {};
  const token = `a token of ${issuer} for the audience ${audience} and the tenant ${flow.tenant} into ${TOKEN_FILE}`;
  const sealKey = sealKeyOf(config.auth.keyFile);
  const key = existsSync(sealKey) ? '' : `, and the public key that belongs to --auth-key into ${sealKey}`;
  return `Put ${token}${key}. Then, in another terminal:`;
}

/** Where `token keygen` puts it. */
function sealKeyOf(authKeyFile: string): string {
  return join(dirname(authKeyFile), 'seal-key.json');
}

function commandsFor(parts: DevParts, flow: FlowToRun | undefined, cli: Cli): string[] {
  const { server, config } = parts;
  const { address, namespace } = server;
  const { TEMPORAL_ADDRESS: ownAddress = DEFAULT_ADDRESS, TEMPORAL_NAMESPACE: ownNamespace = namespace } = cli.env;
  const keys = config.encryptionKeys && { encryptionKeys: shortPath(config.encryptionKeys, cli.cwd) };
  return [
    ...(ownAddress === address ? [] : [`export TEMPORAL_ADDRESS=${address}`]),
    ...(ownNamespace === namespace ? [] : [`export TEMPORAL_NAMESPACE=${namespace}`]),
    ...(flow === undefined ? [] : runCommands(parts, flow, cli)),
    `${beamlineCommand(cli.cwd)} approvals list${repeatFlags({ ...keys })}`,
    `${beamlineCommand(cli.cwd)} dlq list${repeatFlags({ ...keys })}`,
    ...(flow === undefined ? [] : temporalCommands(parts, flow, cli)),
  ];
}

/** Tried first, then done. */
function runCommands(parts: DevParts, flow: FlowToRun, cli: Cli): string[] {
  const run = runCommand(parts, flow, cli);
  return parts.config.pools.includes('sandbox') ? [`${run} --dry-run`, run] : [run];
}

function runCommand({ config }: DevParts, { before, source, after, tenant }: FlowToRun, cli: Cli): string {
  const { queuePrefix, blobRoot, encryptionKeys, auth } = config;
  // The tenant is the token's; with keys it has to be known before that is looked at.
  const saysTenant = tenant !== undefined && (auth.mode === 'none' || encryptionKeys !== undefined);
  const where = repeatFlags({
    ...(blobRoot === resolve(cli.cwd, DEFAULT_BLOB_ROOT) ? {} : { blobRoot: shortPath(blobRoot, cli.cwd) }),
    ...(encryptionKeys === undefined ? {} : { encryptionKeys: shortPath(encryptionKeys, cli.cwd) }),
  });
  return [
    `${before}${beamlineCommand(cli.cwd)} run ${source}${after}`,
    saysTenant ? ` --tenant ${tenant}` : '',
    tokenFlags(config, cli),
    queuePrefix === 'beamline' ? '' : ` --queue-prefix ${queuePrefix}`,
    where,
  ].join('');
}

/** A start by the Temporal CLI: of the tiny flow as it is, or of one that was sealed with a token. */
function temporalCommands({ config, temporal }: DevParts, flow: FlowToRun, cli: Cli): string[] {
  const queue = taskQueueOf(config.queuePrefix, 'io');
  const start = `${temporal} workflow start --type ${RUN_FLOW} --task-queue ${queue} --workflow-id ${WORKFLOW_ID}`;
  const { before, source, after, tenant } = flow;
  if (config.auth.mode === 'none') return [`${start} --input '${JSON.stringify({ flow: TINY_FLOW, tenant })}'`];
  const seal = `${before}${beamlineCommand(cli.cwd)} token seal --for ${WORKFLOW_ID} --flow ${source}${after}`;
  return [`${seal}${tokenFlags(config, cli)} --json > start.json`, `${start} --input-file start.json`];
}

function tokenFlags({ auth }: DevParts['config'], { cwd }: Cli): string {
  if (auth.mode === 'none') return '';
  return ` --token-file ${TOKEN_FILE} --seal-key ${shellWord(shortPath(sealKeyOf(auth.keyFile), cwd))}`;
}
