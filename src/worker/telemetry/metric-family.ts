import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What a metric is. */
export interface MetricSpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence for people. */
  readonly help: string;
  /** Absent: a number of things. */
  readonly unit?: 'ms' | 's' | 'bytes' | 'tasks/s';
  /** The values that each label may have; whatever else is told is `other`. {@link ANY}: the code that sets it sees to it. */
  readonly labels: Readonly<Record<string, readonly string[] | typeof ANY>>;
  /** Upper bounds, of a histogram. */
  readonly buckets?: readonly number[];
  /** Every series is there from the start with 0, so that the first one that counts is seen as a rise. */
  readonly startsAtZero?: true;
}

/** A label whose values are not known beforehand: few by nature. */
export const ANY = 'any';

/** What a value counts as that a label does not have. */
export const OTHER = 'other';

interface Children {
  readonly counter: Counter.Internal;
  readonly gauge: Gauge.Internal<string>;
  readonly histogram: Histogram.Internal<string>;
}

/** The metrics of a table, by name. */
export type Families<Table extends Readonly<Record<string, MetricSpec>>> = {
  readonly [Name in keyof Table]: Family<Children[Table[Name]['type']]>;
};

/** Registers the metrics of a table. */
export function createFamilies<Table extends Readonly<Record<string, MetricSpec>>>(
  table: Table,
  registry: Registry,
): Families<Table> {
  const families = Object.entries(table).map(([name, spec]) => [name, new Family(name, spec, registry)]);
  return Object.fromEntries(families) as Families<Table>;
}

/** One metric with all of its series: no more than the values of its labels allow, whatever it is told. */
export class Family<Child> {
  readonly #metric: Counter | Gauge | Histogram;
  readonly #values: readonly (ReadonlySet<string> | undefined)[];
  readonly #children = new Map<string, Child>();

  constructor(
    name: string,
    private readonly spec: MetricSpec,
    registry: Registry,
  ) {
    const { type, help, labels, buckets = [] } = spec;
    const base = { name, help, labelNames: Object.keys(labels), registers: [registry] };
    if (type === 'counter') this.#metric = new Counter(base);
    else if (type === 'gauge') this.#metric = new Gauge(base);
    else this.#metric = new Histogram({ ...base, buckets: [...buckets] });
    this.#values = Object.values(labels).map((values) => (values === ANY ? undefined : new Set(values)));
    this.#begin();
  }

  /** The series with these values of labels, in the order of the spec. */
  of(...values: readonly string[]): Child {
    const key = values.length === 1 ? this.#bound(values[0], 0) : values.map(this.#bound).join('\n');
    const known = this.#children.get(key);
    if (known !== undefined) return known;
    const child = this.#metric.labels(...values.map(this.#bound)) as Child;
    this.#children.set(key, child);
    return child;
  }

  /** Forgets all series. */
  reset(): void {
    this.#metric.reset();
    this.#begin();
  }

  /** Shows nothing until something is set again; {@link reset} leaves what has no labels at 0. */
  clear(): void {
    this.#metric.reset();
    if (this.#values.length === 0) this.#metric.remove();
  }

  readonly #bound = (value = '', index: number): string => {
    const allowed = this.#values[index];
    return allowed === undefined || allowed.has(value) ? value : OTHER;
  };

  #begin(): void {
    if (this.spec.startsAtZero !== true || !(this.#metric instanceof Counter)) return;
    const all = this.#values.reduce<string[][]>(
      (rows, values) => rows.flatMap((row) => [...(values ?? [])].map((value) => [...row, value])),
      [[]],
    );
    for (const values of all) this.#metric.labels(...values).inc(0);
  }
}
