import { type ParsedDocument, parseDocumentText } from '../dsl/document';
import { resolveMocks } from '../dsl/dry-run/resolve-mocks';
import { flowError } from '../dsl/errors';
import { describeJsonType, isJsonObject, type JsonObject } from '../dsl/json';
import type { FlowPlan } from '../dsl/planning/plan';
import { byPosition, formatProblem } from '../dsl/problems';
import type { StartInput } from '../dsl/start';
import { decodeUtf8 } from '../dsl/utf8';
import type { Cli } from './cli';
import { CommandError, usageError } from './command-error';
import { EXIT } from './exit-codes';
import { readSource, sourceName } from './read-source';

/** Flags of a dry run. */
export interface DryRunFlags {
  readonly dryRun?: boolean;
  readonly mocks?: string;
  readonly realWaits?: boolean;
}

/**
 * What the start input of a dry run has beside others'. Throws BLW_USAGE, also where the flags ask for no dry run but for a part of one, and
 * BLW_START_INVALID with all that is wrong with the mocks of a flow whose plan is known.
 */
export async function readDryRun(
  { dryRun, mocks, realWaits }: DryRunFlags,
  cli: Cli,
  plan: FlowPlan | undefined,
): Promise<Pick<StartInput, 'mode' | 'mocks' | 'waits'>> {
  if (dryRun !== true) {
    const flag = mocks === undefined ? (realWaits === true ? '--real-waits' : undefined) : '--mocks';
    if (flag !== undefined) throw usageError(`${flag}: counts in a dry run only; add --dry-run`);
    return {};
  }
  return {
    mode: 'dry-run',
    ...(mocks === undefined ? {} : { mocks: await readMocks(mocks, cli, plan) }),
    ...(realWaits === true ? { waits: 'real' } : {}),
  };
}

async function readMocks(source: string, cli: Cli, plan: FlowPlan | undefined): Promise<JsonObject> {
  const name = sourceName(source);
  const where = `--mocks: ${name}`;
  const text = decodeUtf8(await readSource(source, cli));
  if (text === undefined) throw usageError(`${where}: is not UTF-8`);
  const parsed = parseDocumentText(text);
  if ('problems' in parsed)
    throw usageError(`--mocks: ${parsed.problems.map((problem) => formatProblem(problem, name)).join('\n')}`);
  const { value } = parsed.document;
  if (!isJsonObject(value))
    throw usageError(
      `${where}: got ${describeJsonType(value)}, expected an object: answers by the name or the path of a step`,
    );
  if (plan !== undefined) checkMocks(value, { document: parsed.document, name, plan });
  return value;
}

/** As the worker checks them, which does not know the file. */
function checkMocks(
  mocks: JsonObject,
  { document, name, plan }: { document: ParsedDocument; name: string; plan: FlowPlan },
): void {
  const resolved = resolveMocks(plan, mocks);
  if ('mocks' in resolved) return;
  const located = resolved.problems.map((problem) => ({
    ...problem,
    position: document.locate(problem.path, 'key'),
  }));
  const lines = located
    .sort(byPosition)
    .map(({ message, position: { line, column } }) => `${name}:${line}:${column} ${message}`);
  const error = flowError('BLW_START_INVALID', lines.join('\n'), { data: { problems: lines } });
  throw new CommandError(error, EXIT.invalid, 'docs/sandbox.md, "Mocks", says what a step may be answered.');
}
