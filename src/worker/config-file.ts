import { readFileSync } from 'node:fs';
import { parseDocumentText } from '../dsl/document';
import { flowError } from '../dsl/errors';
import { describeJsonType, isJsonObject, type Json } from '../dsl/json';
import { closestName } from '../dsl/problems';
import { type OptionSpec, type OptionValues, WORKER_OPTIONS } from './options';

/** Reads a config file: YAML whose keys are the names of the flags. Throws BLW_CONFIG with file, line and column. */
export function readConfigFile(file: string): OptionValues {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw flowError(
      'BLW_CONFIG',
      `--config ${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown error'})`,
      { cause },
    );
  }
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) {
    const [first] = parsed.problems;
    throw flowError(
      'BLW_CONFIG',
      `${file}:${first?.position?.line ?? 1}:${first?.position?.column ?? 1} ${first?.message ?? 'not YAML'}`,
    );
  }
  const { document } = parsed;
  if (document.value === null) return {};
  if (!isJsonObject(document.value)) {
    throw flowError(
      'BLW_CONFIG',
      `${file}:1:1 got ${describeJsonType(document.value)}, expected keys such as "io-pool-size: 16"`,
    );
  }
  const values: OptionValues = {};
  for (const [key, value] of Object.entries(document.value)) {
    const { line, column } = document.locate([key], 'key');
    const spec = (WORKER_OPTIONS as readonly OptionSpec[]).find(({ name }) => name === key);
    const at = `${file}:${line}:${column}`;
    if (spec === undefined) throw flowError('BLW_CONFIG', `${at} ${unknownKey(key)}`);
    values[spec.name as keyof OptionValues] = readValue(value, spec, at);
  }
  return values;
}

function unknownKey(key: string): string {
  const names = WORKER_OPTIONS.map(({ name }) => name);
  const meant = closestName(key, names);
  return `"${key}" is not a setting; ${meant === undefined ? `there are: ${names.join(', ')}` : `did you mean "${meant}"?`}`;
}

function readValue(value: Json, spec: OptionSpec, at: string): string | string[] {
  const items = Array.isArray(value) ? value : [value];
  if (items.some((item) => typeof item === 'object')) {
    throw flowError(
      'BLW_CONFIG',
      `${at} ${spec.name}: got ${describeJsonType(value)}, expected text, a number or a list of them`,
    );
  }
  const texts = items.map(String);
  if (spec.isRepeatable === true) return texts;
  return spec.name === 'pools' ? texts.join(',') : (texts[0] ?? '');
}
