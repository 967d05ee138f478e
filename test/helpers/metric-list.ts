import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './project-root';

/** A metric as docs/metrics.md lists it. */
export interface ListedMetric {
  readonly type: string;
  readonly labels: readonly string[];
}

/** What Prometheus has of itself, or puts on everything. */
const BUILT_IN = ['up', 'ALERTS'];
const SCRAPED = ['job', 'instance'];
const KEYWORDS = new Set(['and', 'or', 'unless', 'on', 'ignoring', 'bool', 'offset', 'by', 'without']);

/** All metrics of docs/metrics.md by name. */
export function listedMetrics(): ReadonlyMap<string, ListedMetric> {
  const text = readFileSync(join(projectRoot(), 'docs', 'metrics.md'), 'utf8');
  return new Map(
    text
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) => {
        const [, names = '', type = '', labels = ''] = line.split(/(?<!\\)\|/);
        const metric = { type: /\w+/.exec(type)?.[0] ?? '', labels: labelNames(labels) };
        return codes(names).map((name) => [name, metric] as const);
      }),
  );
}

/** Names in a cell "`pool`, `state`: `used`, `free`": what stands behind a colon are values. */
function labelNames(cell: string): string[] {
  return cell.split(';').flatMap((part) => codes(part.replace(/:.*$/, '')));
}

function codes(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
}

/**
 * What is wrong with the names in an expression of PromQL, or a selector: metrics that neither docs/metrics.md nor `recorded` have, and labels
 * that a metric does not have. Empty: nothing.
 */
export function wrongNames(expression: string, recorded: readonly string[] = []): string[] {
  const metrics = listedMetrics();
  const known = new Set([...BUILT_IN, ...recorded, ...[...metrics].flatMap(seriesOf)]);
  const bare = expression
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\b(?:by|on|without|ignoring) *\([^)]*\)/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\boffset +\w+/g, ' ');
  const selectors = [...bare.matchAll(/([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?(?!\s*\(|[\w:])/g)];
  return selectors.flatMap(([, name = '', matchers = '']) => {
    if (KEYWORDS.has(name)) return [];
    if (!known.has(name)) return [`no metric ${name}`];
    const allowed = (metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, '')))?.labels;
    const used = [...matchers.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label);
    return used
      .filter((label) => allowed !== undefined && ![...allowed, ...SCRAPED, 'le'].includes(label))
      .map((label) => `${name} has no label ${label}`);
  });
}

function seriesOf([name, { type }]: [string, ListedMetric]): string[] {
  return type === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name];
}
