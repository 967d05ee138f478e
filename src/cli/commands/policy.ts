import { explainScope } from '../../activities/access/scopes';
import type { JsonObject } from '../../dsl/json';
import { closestName, shortText, toJsonPointer } from '../../dsl/problems';
import type { Policy, TenantPolicy } from '../../worker/policy/policy';
import { meantScope } from '../../worker/policy/scope-advice';
import { findAllowing } from '../../worker/policy/scope-cover';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { counted, printProblems } from '../flow-file';
import { printable } from '../output';
import { type PolicyDocument, readPolicyDocument } from '../policy-document';
import { policyToJson, printPolicy, printTenant, tenantToJson } from '../policy-view';

const EXAMPLES = `
Examples:
  $ beamline policy check policy.yaml
  $ beamline policy show policy.yaml --tenant acme
  $ beamline policy show policy.yaml --tenant acme --can http:GET:api.example.com

A worker takes the file with --policy.`;

const CHECK_EXAMPLES = `
Examples:
  $ beamline policy check policy.yaml
  $ beamline policy check policy.yaml --json
  $ make-policy | beamline policy check -

Each problem is one line: file:line:column CODE message. Warnings are on stderr: scopes that are there twice, that another one
covers, or that never allow anything, and a file of identity.jwks that has no keys; an address is not called. Exit codes: 0 valid,
with warnings too; 2 there are problems.`;

const SHOW_EXAMPLES = `
Examples:
  $ beamline policy show policy.yaml
  $ beamline policy show policy.yaml --tenant acme
  $ beamline policy show policy.yaml --tenant acme --can sql:write:shop
  $ beamline policy show policy.yaml --tenant acme --can 'blob:read:orders/*'

--can answers as a worker would, by the tenant's policy alone: a token may allow less. A host without a port means that of https.
Exit codes: 0 done, or yes; 1 no; 2 bad usage, or the file is not valid.`;

interface ShowFlags {
  readonly tenant?: string;
  readonly can?: string;
  readonly json?: boolean;
}

/** `beamline policy check|show` */
export const addPolicy: AddCommand = (command, cli, action) => {
  command.description('Checks policy files, and shows what they allow.').addHelpText('after', EXAMPLES);
  command
    .command('check')
    .description('Checks a policy file (YAML or JSON) and lists every problem with its line and column.')
    .argument('<file>', 'policy file; - reads standard input')
    .option('--json', 'print one JSON object instead of lines')
    .addHelpText('after', CHECK_EXAMPLES)
    .action(action((file: string, flags: { json?: boolean }) => check(file, flags, cli)));
  command
    .command('show')
    .description('Shows what a policy file allows: all tenants, one of them, or whether it may do something.')
    .argument('<file>', 'policy file; - reads standard input')
    .option('--tenant <NAME>', 'all about this tenant')
    .option('--can <SCOPE>', 'whether the tenant may do what this scope stands for')
    .option('--json', 'print one JSON object')
    .addHelpText('after', SHOW_EXAMPLES)
    .action(action((file: string, flags: ShowFlags) => show(file, flags, cli)));
};

async function check(file: string, { json = false }: { json?: boolean }, cli: Cli): Promise<ExitCode> {
  const document = await readPolicyDocument(file, cli);
  if (json) cli.out.line(JSON.stringify(checkToJson(document)));
  else printCheck(document, cli);
  return document.policy === undefined ? EXIT.invalid : EXIT.done;
}

function printCheck(document: PolicyDocument, cli: Cli): void {
  if (document.policy === undefined) {
    printProblems([document], cli.out);
    return;
  }
  const { name, policy, digest, warnings } = document;
  for (const { position, path, message } of warnings) {
    const line = `${name}:${position.line}:${position.column} warning: ${message} (at ${toJsonPointer(path)})`;
    cli.err.line(printable(line));
  }
  cli.out.line(`ok: ${name} ${counted(policy.tenants.size, 'tenant')}, ${digest}`);
}

function checkToJson(document: PolicyDocument): JsonObject {
  const { name: file } = document;
  if (document.policy === undefined) {
    const problems = document.problems.map((problem) => ({ code: problem.code, ...placeToJson(problem) }));
    return { file, valid: false, problems, warnings: [] };
  }
  const { digest, policy, warnings } = document;
  return { file, valid: true, digest, tenants: policy.tenants.size, problems: [], warnings: warnings.map(placeToJson) };
}

function placeToJson({
  position,
  path,
  message,
}: Pick<PolicyDocument['problems'][number], 'position' | 'path' | 'message'>) {
  return { line: position.line, column: position.column, path: toJsonPointer(path), message };
}

async function show(file: string, { tenant: name, can, json = false }: ShowFlags, cli: Cli): Promise<ExitCode> {
  if (can !== undefined && name === undefined) throw usageError('--can needs --tenant: whose policy is asked');
  if (can !== undefined) refuseBadScope(can);
  const document = await readPolicyDocument(file, cli);
  if (document.policy === undefined) {
    printProblems([document], cli.err);
    return EXIT.invalid;
  }
  const { policy, digest } = document;
  const where = { file: document.name, digest };
  if (name === undefined) {
    if (json) cli.out.line(JSON.stringify({ ...where, ...policyToJson(policy) }));
    else printPolicy(policy, cli.out);
    return EXIT.done;
  }
  const tenant = policy.tenants.get(name);
  if (can !== undefined) return answer({ tenant, name, can, json, policy }, cli);
  if (tenant === undefined) throw usageError(`--tenant: ${noTenant(name, policy)}`);
  if (json) cli.out.line(JSON.stringify({ ...where, ...tenantToJson(tenant) }));
  else printTenant(tenant, cli.out);
  return EXIT.done;
}

function refuseBadScope(scope: string): void {
  const problem = explainScope(scope);
  if (problem === undefined) return;
  const meant = meantScope(scope);
  const advice = meant === undefined ? '' : `; did you mean ${meant}?`;
  throw usageError(`--can: got "${shortText(scope)}", ${problem}${advice}`);
}

function answer(
  asked: {
    readonly tenant: TenantPolicy | undefined;
    readonly name: string;
    readonly can: string;
    readonly json: boolean;
    readonly policy: Policy;
  },
  cli: Cli,
): ExitCode {
  const { tenant, name, can, json, policy } = asked;
  const by = tenant && findAllowing(tenant.scopes, can);
  if (json) cli.out.line(JSON.stringify({ tenant: name, scope: can, allowed: by !== undefined, ...(by && { by }) }));
  else if (by !== undefined) cli.out.line(printable(`yes: ${name} has ${by}`));
  else if (tenant !== undefined) cli.out.line(printable(`no: no scope of ${name} allows ${can}`));
  else cli.out.line(printable(`no: ${noTenant(name, policy)}`));
  return by === undefined ? EXIT.failed : EXIT.done;
}

/** Who is not in the policy has no access. */
function noTenant(name: string, { tenants }: Policy): string {
  const meant = closestName(name, tenants.keys());
  return `the policy has no tenant "${shortText(name)}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
}
