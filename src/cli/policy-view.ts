import { partsOf } from '../activities/access/scopes';
import { formatDuration } from '../dsl/durations';
import type { JsonObject } from '../dsl/json';
import { formatByteSize } from '../worker/policy/byte-sizes';
import type { IdentityPolicy, Policy, Quotas, TenantPolicy } from '../worker/policy/policy';
import { SCOPE_KINDS } from '../worker/policy/scope-advice';
import { counted } from './flow-file';
import { printable, type TextOutput } from './output';
import { formatTable } from './table';

/** Temporal's own. */
const DEFAULT_PRIORITY = 3;

/** Prints who is in a policy, one line each, and how tokens are verified. */
export function printPolicy({ identity, tenants }: Policy, output: TextOutput): void {
  const rows = [...tenants.values()].map((tenant) => tenantRow(tenant).map(printable));
  const header = ['TENANT', 'SCOPES', 'WEIGHT', 'PRIORITY', 'QUOTAS'];
  if (rows.length === 0) output.line('no tenant: nobody may do anything');
  else for (const line of formatTable(header, rows, output.style)) output.line(line);
  if (identity === undefined) return;
  output.line();
  printSection('identity', identityRows(identity), output);
}

function tenantRow({ name, scopes, fairnessWeight, priorityKey, quotas }: TenantPolicy): string[] {
  const limits = quotaRows(quotas).map(([what, limit]) => `${what} ${limit}`);
  return [
    name,
    String(scopes.length),
    String(fairnessWeight ?? 1),
    String(priorityKey ?? DEFAULT_PRIORITY),
    limits.join(', ') || 'none',
  ];
}

/** Prints all that a policy says of one tenant. */
export function printTenant(tenant: TenantPolicy, output: TextOutput): void {
  const { name, scopes, quotas, fairnessWeight, priorityKey, privateHosts, approvers } = tenant;
  output.line(output.style.bold(`${name}: ${counted(scopes.length, 'scope')}`));
  if (scopes.length === 0) output.line('  no scope: the tenant may not do anything');
  for (const [kind, value] of scopeRows(scopes)) output.line(`  ${kind.padEnd(10)} ${printable(value)}`.trimEnd());
  printSection('quotas', quotaRows(quotas), output);
  printSection(
    'scheduling',
    [
      ['fairness weight', String(fairnessWeight ?? 1)],
      ['priority', String(priorityKey ?? DEFAULT_PRIORITY)],
    ],
    output,
  );
  printSection(
    'private hosts',
    privateHosts.map((host) => [host, '']),
    output,
  );
  printSection(
    'approvers',
    [...(approvers ?? [])].map(([group, members]) => [group, members.join(', ')]),
    output,
  );
}

/** The kind of each scope once, in the order of the documentation. */
function scopeRows(scopes: readonly string[]): [kind: string, value: string][] {
  return SCOPE_KINDS.flatMap((kind) =>
    scopes
      .map(partsOf)
      .filter((scope) => scope.kind === kind)
      .map(({ value }, index): [string, string] => [index === 0 ? kind : '', value]),
  );
}

function printSection(title: string, rows: readonly (readonly [string, string])[], output: TextOutput): void {
  if (rows.length === 0) return;
  const cells = rows.map((row) => row.map(printable));
  const width = Math.max(...cells.map(([name = '']) => name.length));
  output.line(output.style.bold(title));
  for (const [name = '', value = ''] of cells) output.line(`  ${name.padEnd(width)}  ${value}`.trimEnd());
}

function quotaRows({
  concurrentSteps,
  stepsPerSecond,
  cpuTime,
  memoryMb,
  blobBytes,
  flows,
}: Quotas): [string, string][] {
  const rows: [string, string | undefined][] = [
    ['steps at once', concurrentSteps?.toString()],
    ['steps per second', stepsPerSecond?.toString()],
    ['CPU time', cpuTime && `${formatDuration(cpuTime.maxMs)} in ${formatDuration(cpuTime.windowMs)}`],
    ['memory of a step', memoryMb === undefined ? undefined : `${memoryMb} MiB`],
    ['blobs', blobBytes === undefined ? undefined : formatByteSize(blobBytes)],
    ['open flows', flows?.toString()],
  ];
  return rows.flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]));
}

function identityRows({
  jwks,
  issuer,
  audience,
  algorithms,
  claims,
  clockToleranceMs,
}: IdentityPolicy): [string, string][] {
  return [
    ['keys', 'file' in jwks ? jwks.file : jwks.url],
    ['issuer', issuer],
    ['audience', audience],
    ['algorithms', algorithms.join(', ')],
    ['claims', `tenant: ${claims.tenant}, scopes: ${claims.scopes}, groups: ${claims.groups}`],
    ['clock tolerance', formatDuration(clockToleranceMs)],
  ];
}

/** What scripts read of a tenant: the keys of the file, defaults filled in, times in milliseconds. */
export function tenantToJson({ name, approvers, fairnessWeight = 1, ...rest }: TenantPolicy): JsonObject {
  const { scopes, quotas, privateHosts, priorityKey } = rest;
  return {
    tenant: name,
    scopes: [...scopes],
    quotas: { ...quotas, ...(quotas.cpuTime === undefined ? {} : { cpuTime: { ...quotas.cpuTime } }) } as JsonObject,
    fairnessWeight,
    ...(priorityKey === undefined ? {} : { priorityKey }),
    privateHosts: [...privateHosts],
    ...(approvers === undefined
      ? {}
      : { approvers: Object.fromEntries([...approvers].map(([group, members]) => [group, [...members]])) }),
  };
}

/** The same for all tenants, with how tokens are verified. */
export function policyToJson({ identity, tenants }: Policy): JsonObject {
  return {
    ...(identity === undefined ? {} : { identity: identityToJson(identity) }),
    tenants: [...tenants.values()].map(tenantToJson),
  };
}

function identityToJson({ jwks, algorithms, claims, ...rest }: IdentityPolicy): JsonObject {
  return { jwks: { ...jwks }, ...rest, algorithms: [...algorithms], claims: { ...claims } };
}
