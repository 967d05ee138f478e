import type { MetricPage, Sample } from './prometheus-text';

/** What one worker showed, and when, in ms since 1970. */
export interface Shown {
  readonly at: number;
  readonly page: MetricPage;
}

/** A worker now, and as it was at the sample before; without that, only what it shows now is known, and no rates. */
export interface Observed {
  readonly now: Shown;
  readonly before?: Shown;
}

type Labels = Readonly<Record<string, string>>;

/** Samples of a metric that have these labels. */
export function samplesOf(page: MetricPage, name: string, labels: Labels = {}): readonly Sample[] {
  const wanted = Object.entries(labels);
  return (page.get(name) ?? []).filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value));
}

/** The sum over all workers: for counters, and gauges of a worker's own; undefined where no worker has the metric. */
export function sumOf(workers: readonly Observed[], name: string, labels: Labels = {}): number | undefined {
  return reduce(workers, { name, labels }, (sum, value) => sum + value);
}

/** The most that any worker shows: for gauges of the whole installation; undefined where no worker has the metric. */
export function maxOf(workers: readonly Observed[], name: string, labels: Labels = {}): number | undefined {
  return reduce(workers, { name, labels }, (most, value) => Math.max(most, value));
}

function reduce(
  workers: readonly Observed[],
  { name, labels }: { name: string; labels: Labels },
  join: (a: number, b: number) => number,
): number | undefined {
  const values = workers.flatMap(({ now }) => samplesOf(now.page, name, labels).map(({ value }) => value));
  const known = values.filter(isCredible);
  return known.length === 0 ? undefined : known.reduce((a, b) => join(a, b));
}

/** No worker shows anything else: what is below 0, endless or no number is not known. */
function isCredible(value: number): boolean {
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

/**
 * The workers, seen by what they show of these metrics with each value of a label. All at once: to look through everything for each value
 * takes minutes where there are many.
 */
export function divideBy(
  workers: readonly Observed[],
  names: readonly string[],
  label: string,
): ReadonlyMap<string, readonly Observed[]> {
  const divided = new Map<string, Observed[]>();
  for (const { now, before } of workers) {
    const earlier = before === undefined ? undefined : pagesBy(before.page, names, label);
    for (const [value, page] of pagesBy(now.page, names, label)) {
      const part = {
        now: { at: now.at, page },
        ...(before === undefined ? {} : { before: { at: before.at, page: earlier?.get(value) ?? new Map() } }),
      };
      const known = divided.get(value);
      if (known === undefined) divided.set(value, [part]);
      else known.push(part);
    }
  }
  return divided;
}

function pagesBy(page: MetricPage, names: readonly string[], label: string): Map<string, Map<string, Sample[]>> {
  const pages = new Map<string, Map<string, Sample[]>>();
  for (const sample of names.flatMap((name) => page.get(name) ?? [])) {
    const value = sample.labels[label];
    if (value === undefined) continue;
    const part = pages.get(value) ?? new Map<string, Sample[]>();
    pages.set(value, part);
    const known = part.get(sample.name);
    if (known === undefined) part.set(sample.name, [sample]);
    else known.push(sample);
  }
  return pages;
}

/** How much a counter has grown per second since the sample before, over all workers; undefined where there is none before. */
export function ratePerSecond(workers: readonly Observed[], name: string, labels: Labels = {}): number | undefined {
  const rates = workers.flatMap(({ now, before }) => {
    const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000;
    if (before === undefined || seconds <= 0) return [];
    const growth = samplesOf(now.page, name, labels).reduce((sum, sample) => sum + growthOf(sample, before.page), 0);
    return [growth / seconds];
  });
  return rates.length === 0 ? undefined : rates.reduce((sum, rate) => sum + rate, 0);
}

/** A counter that has become less belongs to a worker that began again. */
function growthOf({ name, labels, value }: Sample, before: MetricPage): number {
  const from = valuesOf(before.get(name)).get(keyOf(labels)) ?? 0;
  if (!isCredible(value) || !isCredible(from)) return 0;
  return value < from ? value : value - from;
}

const valuesBySamples = new WeakMap<readonly Sample[], ReadonlyMap<string, number>>();

/** The values of a metric by its labels. */
function valuesOf(samples: readonly Sample[] = []): ReadonlyMap<string, number> {
  const known = valuesBySamples.get(samples);
  if (known !== undefined) return known;
  const values = new Map(samples.map(({ labels, value }) => [keyOf(labels), value]));
  valuesBySamples.set(samples, values);
  return values;
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * A quantile of what a histogram has counted since the sample before, over all workers, as Prometheus' `histogram_quantile` estimates it:
 * even within a bucket; beyond the last bucket, the end of that. Undefined where nothing was counted.
 */
export function quantileOf(
  workers: readonly Observed[],
  { name, labels = {}, quantile }: { name: string; labels?: Labels; quantile: number },
): number | undefined {
  const counts = new Map<number, number>();
  for (const { now, before } of workers) {
    if (before === undefined) continue;
    for (const sample of samplesOf(now.page, `${name}_bucket`, labels)) {
      const end = sample.labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labels.le);
      counts.set(end, (counts.get(end) ?? 0) + growthOf(sample, before.page));
    }
  }
  return estimate(
    [...counts].sort(([a], [b]) => a - b),
    quantile,
  );
}

/** `buckets`: the end of each, and how many are not beyond it. */
function estimate(buckets: readonly (readonly [number, number])[], quantile: number): number | undefined {
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = quantile * total;
  let [start, counted] = [0, 0];
  for (const [end, upTo] of buckets) {
    if (upTo >= rank) {
      if (end === Number.POSITIVE_INFINITY) return start;
      return upTo === counted ? end : start + ((end - start) * (rank - counted)) / (upTo - counted);
    }
    [start, counted] = [end, upTo];
  }
  return start;
}
