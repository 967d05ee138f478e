import { messageOf } from '../dsl/errors';
import type { Json } from '../dsl/json';
import { MAX_PAYLOAD_BYTES } from '../dsl/step-request';
import { decodeUtf8 } from '../dsl/utf8';
import type { Cli } from './cli';
import { usageError } from './command-error';
import { readSource, STDIN, sourceName } from './read-source';

/**
 * Reads the value of a flag that takes JSON: the JSON itself, `@FILE`, or `-` for standard input. Throws BLW_USAGE with the
 * name of the flag.
 */
export async function readJsonArgument(flag: string, value: string, cli: Cli): Promise<Json> {
  if (value !== STDIN && !value.startsWith('@')) return parse(value, flag);
  const source = value === STDIN ? STDIN : value.slice(1);
  if (source === '') throw usageError(`${flag}: got "@" without a file, expected @FILE`);
  const where = `${flag}: ${sourceName(source)}`;
  const text = decodeUtf8(await readSource(source, cli, MAX_PAYLOAD_BYTES));
  if (text === undefined) throw usageError(`${where}: is not UTF-8`);
  return parse(text, where);
}

function parse(text: string, where: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    const reason = messageOf(cause);
    throw usageError(`${where}: not JSON: ${reason}`, {
      cause,
      help: 'Give JSON, @FILE with JSON in it, or - for stdin.',
    });
  }
}
