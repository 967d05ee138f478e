import { get } from 'node:http';
import { BLOCK_SPECS } from '../../dsl/block-registry';
import * as names from '../../dsl/names';
import { OTHER } from './metric-family';

/** Where the native core of Temporal's SDK serves its metrics, for this process alone. */
export interface CoreMetrics {
  readonly url: string;
}

const LIMIT_MS = 1_000;
const MAX_BYTES = 4 * 1_024 * 1_024;

/** Types of workflows and activities that are ours; whoever reaches Temporal can start others on our queues, under any name. */
const KNOWN_TYPES: ReadonlySet<string> = new Set([
  ...BLOCK_SPECS.map(({ type }) => type),
  ...Object.values(names).filter((name) => typeof name === 'string'),
]);

/** The core's metrics as text, with bounded labels. Throws where it does not answer in time. */
export async function readCoreMetrics({ url }: CoreMetrics): Promise<string> {
  return boundTypes(await fetchText(url));
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: LIMIT_MS, signal: AbortSignal.timeout(LIMIT_MS) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) request.destroy(new Error(`more than ${MAX_BYTES} bytes`));
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    request.on('error', reject);
  });
}

/** Makes one series of all whose type of workflow or activity is not ours: the sum of them. */
export function boundTypes(text: string): string {
  const lines: string[] = [];
  const sums = new Map<string, { readonly at: number; value: number }>();
  for (const line of text.split('\n')) {
    const bounded = line.startsWith('#') ? line : line.replace(TYPE, boundType);
    if (bounded === line && !line.includes(OTHER_TYPE)) {
      lines.push(line);
      continue;
    }
    const space = bounded.lastIndexOf(' ');
    const series = bounded.slice(0, space);
    const sum = sums.get(series) ?? { at: lines.push(bounded) - 1, value: 0 };
    sum.value += Number(bounded.slice(space + 1));
    sums.set(series, sum);
    lines[sum.at] = `${series} ${sum.value}`;
  }
  return lines.join('\n');
}

/** A label with its value, in which the text escapes quotes. */
const TYPE = /\b(workflow_type|activity_type)="((?:[^"\\]|\\.)*)"/g;
const OTHER_TYPE = `_type="${OTHER}"`;

function boundType(label: string, name: string, type: string): string {
  return knownType(type) === OTHER ? `${name}="${OTHER}"` : label;
}

/** A type of workflow or activity as it may be told: whoever reaches Temporal can start something under any name. */
export function knownType(type: string): string {
  return KNOWN_TYPES.has(type) ? type : OTHER;
}
