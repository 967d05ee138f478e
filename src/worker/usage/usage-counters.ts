import { execute, query, type Rule } from '../state/rule';
import { dayOf } from './usage-rules';

/** What is counted of a tenant, and never falls. */
export const USAGE_COUNTERS = ['steps', 'failures', 'cpu_ms', 'bytes_in', 'bytes_out', 'approvals'] as const;

type CounterName = (typeof USAGE_COUNTERS)[number];

/** What a tenant has used since the store began, and the most that a process held today (UTC) that ran one of its steps. */
export type UsageCounters = Readonly<Record<CounterName | 'peak_memory_bytes', number>>;

interface ShownCounter {
  readonly tenant: string;
  readonly name: CounterName;
  readonly value: number;
  readonly pruned: number;
  readonly first_day: string;
}

/**
 * Sums up the usage of tenants, as counters that never fall: a correction of how a step ended waits until the sum has caught up, and days
 * that somebody removed stay counted. Remembers what it gave, for whoever asks next; a worker at a time should ask.
 */
export function* countUsageSinceBegin(tenants: ReadonlySet<string>): Rule<ReadonlyMap<string, UsageCounters>> {
  const [clock] = yield* query<{ now: number }>('SELECT now_ms() AS now');
  const sums = yield* query<{ readonly tenant: string; readonly first_day: string } & UsageCounters>(
    `SELECT tenant, min(day) AS first_day, CAST(sum(steps) AS BIGINT) AS steps, CAST(sum(failures) AS BIGINT) AS failures,
        sum(cpu_ms) AS cpu_ms, CAST(sum(bytes_in) AS BIGINT) AS bytes_in, CAST(sum(bytes_out) AS BIGINT) AS bytes_out,
        CAST(sum(approvals) AS BIGINT) AS approvals, max(CASE WHEN day = ? THEN peak_memory_bytes ELSE 0 END) AS peak_memory_bytes
       FROM beamline_usage GROUP BY tenant`,
    dayOf(clock?.now ?? 0),
  );
  const rows = yield* query<ShownCounter>('SELECT tenant, name, value, pruned, first_day FROM beamline_usage_counters');
  const shown = new Map(rows.map((row) => [`${row.tenant} ${row.name}`, row]));
  const counters = new Map<string, UsageCounters>();
  for (const sum of sums) {
    if (!tenants.has(sum.tenant)) continue;
    const values = { peak_memory_bytes: sum.peak_memory_bytes } as Record<keyof UsageCounters, number>;
    for (const name of USAGE_COUNTERS) {
      const before = shown.get(`${sum.tenant} ${name}`);
      const after = advance(before, sum[name], sum.first_day);
      values[name] = after.value;
      if (before?.value === after.value && before.first_day === sum.first_day) continue;
      yield* save({ tenant: sum.tenant, name, ...after });
    }
    counters.set(sum.tenant, values);
  }
  return counters;
}

function advance(
  before: ShownCounter | undefined,
  sum: number,
  firstDay: string,
): Pick<ShownCounter, 'value' | 'pruned' | 'first_day'> {
  const { value = 0, pruned = 0, first_day: knownDay = firstDay } = before ?? {};
  // Without its oldest days the sum is smaller by what these had.
  if (firstDay > knownDay) return { value, pruned: value - sum, first_day: firstDay };
  return { value: Math.max(value, sum + pruned), pruned, first_day: firstDay };
}

function* save({ tenant, name, value, pruned, first_day: firstDay }: ShownCounter): Rule<void> {
  yield* execute(
    `INSERT INTO beamline_usage_counters (tenant, name, value, pruned, first_day) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value, pruned = excluded.pruned, first_day = excluded.first_day`,
    tenant,
    name,
    value,
    pruned,
    firstDay,
  );
}
