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
  const known = values.filter((value) => !Number.isNaN(value));
  return known.length === 0 ? undefined : known.reduce((a, b) => join(a, b));
}

/** The values that a label has, over all workers. */
export function labelValues(workers: readonly Observed[], name: string, label: string): string[] {
  const values = workers.flatMap(({ now }) => samplesOf(now.page, name).flatMap(({ labels }) => labels[label] ?? []));
  return [...new Set(values)];
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
function growthOf(sample: Sample, before: MetricPage): number {
  const names = Object.keys(sample.labels);
  const [earlier] = samplesOf(before, sample.name, sample.labels).filter(
    ({ labels }) => Object.keys(labels).length === names.length,
  );
  const from = earlier?.value ?? 0;
  return sample.value < from ? sample.value : sample.value - from;
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
