import { isJsonObject, type JsonObject } from '../dsl/json';
import { shortText } from '../dsl/problems';
import { printableIndented } from './output';

/** Of each stream; `--json` has what the error has. */
const MAX_LINES = 5;
const MAX_LINE_LENGTH = 200;

/**
 * The last lines that a script printed which failed with this error, as its `data` has them, with the name of the stream before the first; none for other errors.
 * Its name, message and line stand in the error's detail.
 */
export function scriptOutputLines({ code, data }: JsonObject): string[] {
  if (typeof code !== 'string' || !code.startsWith('BLW_SCRIPT_') || !isJsonObject(data)) return [];
  return ['stdout', 'stderr'].flatMap((stream) => {
    const text = data[stream];
    return typeof text === 'string' ? lastLines(stream, text) : [];
  });
}

function lastLines(stream: string, text: string): string[] {
  const lines = text.trimEnd().split('\n');
  const shown = lines.slice(-MAX_LINES).map((line) => printableIndented(shortText(line.trimEnd(), MAX_LINE_LENGTH)));
  const cut = lines.length > MAX_LINES ? ['…'] : [];
  return [...cut, ...shown].map((line, index) => `${(index === 0 ? `${stream}:` : '').padEnd(10)} ${line}`);
}
