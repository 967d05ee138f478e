import { shortText } from '../../dsl/problems';

/** One line of a page of metrics. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Samples by the name of their metric. */
export type MetricPage = ReadonlyMap<string, readonly Sample[]>;

const NAME = /^[A-Za-z_:][A-Za-z0-9_:]*/;

/** A label, and what divides it from the next one. */
const LABEL = /\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|(?=\}))/y;

/** A value, with a timestamp or without, and whatever OpenMetrics adds as a comment. */
const VALUE = /^\s+(\S+)(?:\s+-?\d+(?:\.\d+)?)?\s*(?:#.*)?$/;

const SPECIAL: Readonly<Record<string, number>> = {
  '+Inf': Number.POSITIVE_INFINITY,
  Inf: Number.POSITIVE_INFINITY,
  '-Inf': Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
};

/**
 * Reads metrics in the text format of Prometheus (prometheus.io, "Exposition formats"). Throws an Error with the number of the first line
 * that is none.
 */
export function parsePrometheusText(text: string): MetricPage {
  const page = new Map<string, Sample[]>();
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const sample = parseLine(trimmed);
    if (sample === undefined) {
      throw new Error(`line ${index + 1}: got "${shortText(trimmed)}", expected a metric: NAME{LABEL="…"} VALUE`);
    }
    const known = page.get(sample.name);
    if (known === undefined) page.set(sample.name, [sample]);
    else known.push(sample);
  }
  return page;
}

function parseLine(line: string): Sample | undefined {
  const [name] = NAME.exec(line) ?? [];
  if (name === undefined) return undefined;
  const parsed = parseLabels(line, name.length);
  if (parsed === undefined) return undefined;
  const [, text] = VALUE.exec(line.slice(parsed.end)) ?? [];
  if (text === undefined) return undefined;
  const value = SPECIAL[text] ?? (/^[-+]?[\d.]/.test(text) ? Number(text) : undefined);
  return value === undefined || (Number.isNaN(value) && text !== 'NaN')
    ? undefined
    : { name, labels: parsed.labels, value };
}

function parseLabels(line: string, from: number): { labels: Record<string, string>; end: number } | undefined {
  const labels: [string, string][] = [];
  const start = /^\s*\{/.exec(line.slice(from));
  if (start === null) return { labels: {}, end: from };
  let end = from + start[0].length;
  for (;;) {
    LABEL.lastIndex = end;
    const match = LABEL.exec(line);
    if (match === null) break;
    const [whole, label = '', value = ''] = match;
    labels.push([label, withoutEscapes(value)]);
    end += whole.length;
  }
  const close = /^\s*\}/.exec(line.slice(end));
  return close === null ? undefined : { labels: Object.fromEntries(labels), end: end + close[0].length };
}

function withoutEscapes(value: string): string {
  return value.replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
}
