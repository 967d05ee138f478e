import { explainScope, type Scope } from '../../activities/access/scopes';
import { parseAllowedHosts } from '../../activities/ports/address-policy';
import { parseDuration } from '../../dsl/durations';
import { FlowError } from '../../dsl/errors';
import { describeJsonType, isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import { TENANT } from '../../dsl/start';
import type { Checker, Path, Shape } from '../../dsl/validation/checker';
import { parseByteSize } from './byte-sizes';
import type { Quotas, TenantPolicy } from './policy';
import { PolicySection } from './policy-checker';
import { meantScope } from './scope-advice';

/** Each step looks through all scopes of its tenant. */
const MAX_SCOPES = 1_000;
const MAX_HOSTS = 1_000;
const MAX_GROUPS = 1_000;
const MAX_MEMBERS = 10_000;

const TENANT_SHAPE: Shape = {
  required: ['scopes'],
  optional: ['quotas', 'fairnessWeight', 'priorityKey', 'privateHosts', 'approvers'],
  habits: {
    aliases: {
      scope: 'scopes',
      permissions: 'scopes',
      allow: 'scopes',
      quota: 'quotas',
      limits: 'quotas',
      weight: 'fairnessWeight',
      priority: 'priorityKey',
      hosts: 'privateHosts',
      allowhost: 'privateHosts',
      allowhosts: 'privateHosts',
      groups: 'approvers',
    },
    advice: {
      databases: 'write scopes such as sql:read:shop',
      secrets: 'write scopes such as secret:shopLogin',
      blobs: 'write scopes such as blob:read:orders/*',
    },
  },
  example: '{ scopes: [flow:start, block:*] }',
};

const QUOTAS_SHAPE: Shape = {
  optional: ['concurrentSteps', 'stepsPerSecond', 'cpuTime', 'memoryMb', 'blobBytes', 'flows'],
  example: '{ concurrentSteps: 20 }',
};

const CPU_TIME_SHAPE: Shape = { required: ['max', 'window'], example: '{ max: PT2H, window: P1D }' };

/** A tenant of the policy file. What is wrong is reported, and what is given back is then of no use. */
export function readTenant(name: string, value: Json, checker: Checker): TenantPolicy | undefined {
  const path = ['tenants', name];
  if (!TENANT.test(name)) {
    const expected = 'expected 1 to 63 letters, digits, ".", "_" or "-", a letter or digit first';
    checker.report('BLW_VALUE_INVALID', path, `tenants: got the name "${shortText(name)}", ${expected}`, 'key');
  }
  const object = checker.shaped(value, path, `tenant ${shortText(name)}`, TENANT_SHAPE);
  if (object === undefined) return undefined;
  const section = new PolicySection(checker, object, path);
  const fairnessWeight = section.number('fairnessWeight', { min: 0.001, max: 1_000 });
  const priorityKey = section.integer('priorityKey', { min: 1, max: 5 });
  const approvers = readApprovers(section);
  return {
    name,
    scopes: readScopes(section),
    quotas: readQuotas(section),
    privateHosts: readHosts(section),
    ...(fairnessWeight === undefined ? {} : { fairnessWeight }),
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(approvers === undefined ? {} : { approvers }),
  };
}

function readScopes(section: PolicySection): readonly Scope[] {
  const items = section.list('scopes', MAX_SCOPES, '[flow:start, block:*]') ?? [];
  items.forEach((item, index) => {
    const problem = explainItem(item);
    if (problem !== undefined) reportItem(section, ['scopes', index], problem);
  });
  return items.filter((item) => typeof item === 'string');
}

function explainItem(item: Json): string | undefined {
  if (typeof item !== 'string')
    return `got ${describeJsonType(item)}, expected text such as flow:start${blankAdvice(item)}`;
  const problem = explainScope(item);
  if (problem === undefined) return undefined;
  const meant = meantScope(item);
  return `got "${shortText(item)}", ${problem}${meant === undefined ? '' : `; did you mean ${shortText(meant)}?`}`;
}

/** `flow: start` is an object in YAML. */
function blankAdvice(item: Json): string {
  const [[key, value] = [], ...others] = isJsonObject(item) ? Object.entries(item) : [];
  const isScope = others.length === 0 && typeof value === 'string' && explainScope(`${key}:${value}`) === undefined;
  return isScope ? `; write ${shortText(`${key}:${value}`)} without a blank` : '';
}

function readHosts(section: PolicySection): readonly string[] {
  const items = section.list('privateHosts', MAX_HOSTS, '[inventory.internal:8080]') ?? [];
  const hosts = items.filter((item) => typeof item === 'string');
  items.forEach((item, index) => {
    if (typeof item === 'string' && isHost(item)) return;
    // What stands before an @ may be a password.
    const isPlain = typeof item === 'string' && !item.includes('@');
    const got = isPlain ? `"${shortText(item)}"` : typeof item === 'string' ? 'text with an @' : describeJsonType(item);
    const such = 'HOST or HOST:PORT, such as api.internal, 10.0.0.5:8080 or [::1]:8080';
    reportItem(section, ['privateHosts', index], `got ${got}, expected ${such}; no scheme, path or wildcard`);
  });
  return hosts;
}

function isHost(text: string): boolean {
  try {
    parseAllowedHosts([text]);
    return true;
  } catch (error) {
    if (error instanceof FlowError) return false;
    throw error;
  }
}

function readApprovers(section: PolicySection): ReadonlyMap<string, readonly string[]> | undefined {
  const value = section.value('approvers');
  if (value === undefined) return undefined;
  const path = [...section.path, 'approvers'];
  const groups = section.checker.object(value, path, 'approvers', '{ finance: [alice, bob] }');
  if (groups === undefined) return undefined;
  const names = Object.keys(groups);
  if (names.length > MAX_GROUPS)
    section.report('approvers', `got ${names.length} groups, expected at most ${MAX_GROUPS}`);
  const inner = new PolicySection(section.checker, groups, path, 'approvers.');
  return new Map(names.map((group) => [group, readMembers(inner, group)]));
}

function readMembers(section: PolicySection, group: string): readonly string[] {
  if (group === '')
    section.checker.report('BLW_VALUE_INVALID', [...section.path, group], 'approvers: a group has no name', 'key');
  const items = section.list(group, MAX_MEMBERS, '[alice, bob]') ?? [];
  items.forEach((item, index) => {
    if (typeof item === 'string' && item !== '') return;
    const quotes = typeof item === 'number' || typeof item === 'boolean' ? '; put it in quotes' : '';
    const got = item === '' ? 'empty text' : describeJsonType(item);
    reportItem(section, [group, index], `got ${got}, expected a person's name${quotes}`);
  });
  return items.filter((item) => typeof item === 'string');
}

function readQuotas(section: PolicySection): Quotas {
  const value = section.value('quotas');
  if (value === undefined) return {};
  const path = [...section.path, 'quotas'];
  const object = section.checker.shaped(value, path, 'quotas', QUOTAS_SHAPE);
  if (object === undefined) return {};
  const quotas = new PolicySection(section.checker, object, path, 'quotas.');
  const concurrentSteps = quotas.integer('concurrentSteps', { min: 1, max: 1_000_000 });
  const stepsPerSecond = quotas.number('stepsPerSecond', { min: 0.01, max: 1_000_000 });
  const memoryMb = quotas.integer('memoryMb', { min: 64, max: 1_048_576 });
  const flows = quotas.integer('flows', { min: 1, max: 1_000_000_000 });
  const cpuTime = readCpuTime(quotas);
  const blobBytes = readBlobBytes(quotas);
  return {
    ...(concurrentSteps === undefined ? {} : { concurrentSteps }),
    ...(stepsPerSecond === undefined ? {} : { stepsPerSecond }),
    ...(cpuTime === undefined ? {} : { cpuTime }),
    ...(memoryMb === undefined ? {} : { memoryMb }),
    ...(blobBytes === undefined ? {} : { blobBytes }),
    ...(flows === undefined ? {} : { flows }),
  };
}

function readCpuTime(quotas: PolicySection): Quotas['cpuTime'] {
  const value = quotas.value('cpuTime');
  if (value === undefined) return undefined;
  const path = [...quotas.path, 'cpuTime'];
  const object = quotas.checker.shaped(value, path, 'quotas.cpuTime', CPU_TIME_SHAPE);
  if (object === undefined) return undefined;
  const section = new PolicySection(quotas.checker, object, path, 'quotas.cpuTime.');
  return { maxMs: readDuration(section, 'max', 1), windowMs: readDuration(section, 'window', 1_000) };
}

/** Milliseconds; 0 where it is absent or wrong, which has been reported then. */
function readDuration({ checker, object, path, prefix }: PolicySection, key: string, minMs: number): number {
  const value = object[key];
  checker.literalDuration(value, [...path, key], prefix + key, minMs);
  const parsed = value === undefined ? { problem: 'absent' } : parseDuration(value);
  return 'ms' in parsed ? parsed.ms : 0;
}

function readBlobBytes(quotas: PolicySection): number | undefined {
  const value = quotas.value('blobBytes');
  if (value === undefined) return undefined;
  const parsed = parseByteSize(value);
  if ('bytes' in parsed) return parsed.bytes;
  quotas.report('blobBytes', parsed.problem);
  return undefined;
}

function reportItem(
  { checker, path, prefix }: PolicySection,
  [key, index]: readonly [string, number],
  message: string,
): void {
  const where: Path = [...path, key, index];
  checker.report('BLW_VALUE_INVALID', where, `${prefix}${key}: ${message}`);
}
