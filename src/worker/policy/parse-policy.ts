import { createHash } from 'node:crypto';
import { isMap } from 'yaml';
import { type ParsedDocument, parseDocumentText } from '../../dsl/document';
import { isJsonObject, type Json } from '../../dsl/json';
import {
  byPosition,
  type LocatedProblem,
  MAX_PROBLEMS,
  type Position,
  type Problem,
  shortJson,
} from '../../dsl/problems';
import { decodeUtf8 } from '../../dsl/utf8';
import { Checker, ReportIsFull, type Shape } from '../../dsl/validation/checker';
import type { Policy, TenantPolicy } from './policy';
import { readIdentity } from './read-identity';
import { readTenant } from './read-tenant';

const VERSION = 1;

const POLICY_SHAPE: Shape = {
  required: ['version', 'tenants'],
  optional: ['identity'],
  habits: { aliases: { auth: 'identity', jwt: 'identity', tenant: 'tenants' } },
};

/** A policy file that was read: the policy, or everything that is wrong, each problem with its place and BLW_POLICY_INVALID. */
export type ParsedPolicy =
  | {
      readonly policy: Policy;
      readonly problems?: undefined;
      /** Where the value at a path stands. */
      readonly locate: (path: Problem['path']) => Position;
    }
  | { readonly policy?: undefined; readonly problems: readonly LocatedProblem[] };

/** Reads a policy file in YAML or JSON; files that it names are taken from `folder`. */
export function parsePolicy(bytes: Uint8Array, folder: string): ParsedPolicy {
  const text = decodeUtf8(bytes);
  if (text === undefined) return invalid([{ ...AT_START, message: 'the file is not UTF-8 text; save it as UTF-8' }]);
  const parsed = parseDocumentText(text);
  const document = 'document' in parsed ? parsed.document : parsed.partial;
  const found = 'problems' in parsed ? parsed.problems : [];
  if (document === undefined) return invalid(found);
  const cut = findCut(text, document);
  if (cut !== undefined) return invalid([...found, cut]);
  const checker = new Checker();
  const policy = checkAll(document.value, { checker, folder });
  if (policy !== undefined && checker.problems.length === 0 && found.length === 0) {
    return { policy, locate: (path) => document.locate(path, 'value') };
  }
  const located = checker.problems.map((problem) => ({
    ...problem,
    position: document.locate(problem.path, problem.part ?? 'value'),
  }));
  // What the text itself has wrong at a place is the reason of whatever else is wrong there.
  const reasons = new Set(found.map(({ position }) => `${position.line}:${position.column}`));
  const others = located.filter(({ position }) => !reasons.has(`${position.line}:${position.column}`));
  return invalid([...found, ...others].sort(byPosition).slice(0, MAX_PROBLEMS));
}

/** Tells contents of policy files apart, in logs and in what commands print. */
export function policyDigest(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

const AT_START = { code: 'BLW_POLICY_INVALID', path: [], position: { line: 1, column: 1 } } as const;

/** One code for whatever is wrong with a policy: the codes of flows say what to do about flows. */
function invalid(problems: readonly LocatedProblem[]): ParsedPolicy {
  return { problems: problems.map((problem) => ({ ...problem, code: 'BLW_POLICY_INVALID' })) };
}

/**
 * A file that is cut off within a line is often still YAML, and `*.example.com` without the `:8443` that belongs to it allows
 * more. Such a file has no line end at its end. In braces, all of it is there.
 */
function findCut(text: string, { value, tree }: ParsedDocument): LocatedProblem | undefined {
  const isInBraces = isMap(tree.contents) && tree.contents.flow === true;
  if (value === null || isInBraces || /[\r\n]$/.test(text)) return undefined;
  const lines = text.split('\n');
  const position = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
  const message = 'the file ends within a line; if it is complete, end it with a line end';
  return { ...AT_START, position, message };
}

function checkAll(value: Json, context: { checker: Checker; folder: string }): Policy | undefined {
  try {
    return checkPolicy(value, context);
  } catch (error) {
    if (!(error instanceof ReportIsFull)) throw error;
    return undefined;
  }
}

function checkPolicy(value: Json, { checker, folder }: { checker: Checker; folder: string }): Policy | undefined {
  if (value === null) {
    checker.report('BLW_VALUE_INVALID', [], 'the file is empty, expected version: 1 and tenants');
    return undefined;
  }
  const object = checker.shaped(value, [], 'the policy', POLICY_SHAPE);
  if (object === undefined) return undefined;
  const { version } = object;
  if (version !== undefined && version !== VERSION) {
    const quotes = version === String(VERSION) ? '; write it without quotes' : '';
    checker.report(
      'BLW_VALUE_INVALID',
      ['version'],
      `version: got ${shortJson(version)}, expected ${VERSION}${quotes}`,
    );
  }
  const identity = readIdentity(object.identity, { checker, folder });
  const tenants = readTenants(object.tenants, checker);
  return { tenants, ...(identity === undefined ? {} : { identity }) };
}

function readTenants(value: Json | undefined, checker: Checker): ReadonlyMap<string, TenantPolicy> {
  const tenants = new Map<string, TenantPolicy>();
  if (value === undefined) return tenants;
  const object = checker.object(value, ['tenants'], 'tenants', '{ acme: { scopes: [flow:start] } }');
  if (!isJsonObject(object)) return tenants;
  for (const [name, entry] of Object.entries(object)) {
    const tenant = readTenant(name, entry, checker);
    if (tenant !== undefined) tenants.set(name, tenant);
  }
  return tenants;
}
