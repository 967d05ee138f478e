import { parseDocumentText } from '../dsl/document';
import { describeJsonType, isJsonObject } from '../dsl/json';
import { formatProblem } from '../dsl/problems';
import type { StartInput } from '../dsl/start';
import { decodeUtf8 } from '../dsl/utf8';
import type { Cli } from './cli';
import { usageError } from './command-error';
import { readSource, sourceName } from './read-source';

/** Flags of a dry run. */
export interface DryRunFlags {
  readonly dryRun?: boolean;
  readonly mocks?: string;
  readonly realWaits?: boolean;
}

/** What the start input of a dry run has beside others'. Throws BLW_USAGE, also where the flags ask for no dry run but for a part of one. */
export async function readDryRun(
  { dryRun, mocks, realWaits }: DryRunFlags,
  cli: Cli,
): Promise<Pick<StartInput, 'mode' | 'mocks' | 'waits'>> {
  if (dryRun !== true) {
    const flag = mocks === undefined ? (realWaits === true ? '--real-waits' : undefined) : '--mocks';
    if (flag !== undefined) throw usageError(`${flag}: counts in a dry run only; add --dry-run`);
    return {};
  }
  return {
    mode: 'dry-run',
    ...(mocks === undefined ? {} : { mocks: await readMocks(mocks, cli) }),
    ...(realWaits === true ? { waits: 'real' } : {}),
  };
}

async function readMocks(source: string, cli: Cli): Promise<NonNullable<StartInput['mocks']>> {
  const where = `--mocks: ${sourceName(source)}`;
  const text = decodeUtf8(await readSource(source, cli));
  if (text === undefined) throw usageError(`${where}: is not UTF-8`);
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) {
    const [problem] = parsed.problems;
    throw usageError(problem === undefined ? `${where}: cannot be read` : formatProblem(problem, where));
  }
  const { value } = parsed.document;
  if (isJsonObject(value)) return value;
  throw usageError(
    `${where}: got ${describeJsonType(value)}, expected an object: answers by the name or the path of a step`,
  );
}
