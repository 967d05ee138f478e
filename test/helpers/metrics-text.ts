/** One scrape in Prometheus' text format, read strictly. */
export class MetricsText {
  /** Value by series: name and labels in order of the alphabet, `up{a="1",b="2"}`. */
  readonly #series = new Map<string, number>();
  readonly #types = new Map<string, string>();

  /** Throws an Error where it is not in the format, or tells something twice. */
  constructor(readonly text: string) {
    for (const line of text.split('\n')) this.#read(line);
  }

  /** 0 where there is no such series. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    return this.#series.get(seriesOf(name, Object.entries(labels))) ?? 0;
  }

  has(name: string, labels: Readonly<Record<string, string>> = {}): boolean {
    return this.#series.has(seriesOf(name, Object.entries(labels)));
  }

  /** Sum over all series of a name. */
  sum(name: string): number {
    return this.series(name).reduce((sum, [, value]) => sum + value, 0);
  }

  series(name: string): [series: string, value: number][] {
    return [...this.#series].filter(([series]) => series === name || series.startsWith(`${name}{`));
  }

  /** Metrics by name: counter, gauge, histogram. */
  get types(): ReadonlyMap<string, string> {
    return this.#types;
  }

  #read(line: string): void {
    if (line === '' || line.startsWith('# HELP ')) return;
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      const [, name = '', kind = ''] = type;
      if (this.#types.has(name)) throw new Error(`the type of ${name} is told twice`);
      this.#types.set(name, kind);
      return;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`no line of a metric: ${line}`);
    const [, name = '', labels = '', value = ''] = sample;
    if (!this.#types.has(name) && !this.#types.has(name.replace(/_(bucket|sum|count)$/, ''))) {
      throw new Error(`no type is told of ${name}`);
    }
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\\n]|\\.)*)"(?:,|$)/g)];
    if (pairs.map(([text]) => text).join('') !== labels) throw new Error(`no labels: ${line}`);
    const series = seriesOf(
      name,
      pairs.map(([, label = '', text = '']) => [label, text]),
    );
    if (this.#series.has(series)) throw new Error(`told twice: ${series}`);
    this.#series.set(series, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value));
  }
}

/** Scrapes a worker. */
export async function scrape(url: string): Promise<MetricsText> {
  const response = await fetch(`${url}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`status ${response.status}: ${text}`);
  return new MetricsText(text);
}

function seriesOf(name: string, labels: readonly (readonly [string, string])[]): string {
  const text = labels.map(([label, value]) => `${label}="${value}"`).sort();
  return text.length === 0 ? name : `${name}{${text.join(',')}}`;
}
