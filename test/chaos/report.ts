import type { Occasion } from './commands';
import type { ChaosFlow } from './driver';
import type { Verification } from './verify';
import type { WorkerProcess } from './workers';

/** What there was of a fault. */
export interface FaultRecord {
  readonly name: string;
  /** Why it could not be made here. */
  readonly missing: string | undefined;
  readonly strikes: { readonly from: number; readonly to: number; readonly recoveredMs?: number }[];
  readonly problems: string[];
  /** It belongs to the load, and is never over: there is no recovery to wait for. */
  readonly isLoad?: true;
}

/** What is done all the while, and counted like the faults. */
export function loadRecord(name: string, missing: string | undefined, occasions: readonly Occasion[]): FaultRecord {
  return { name, missing, strikes: [...occasions], problems: [], isLoad: true };
}

export interface Outcome {
  readonly seed: number;
  readonly records: readonly FaultRecord[];
  readonly flows: readonly ChaosFlow[];
  readonly hanging: readonly ChaosFlow[];
  readonly verification: Verification;
  readonly workers: readonly Pick<WorkerProcess, 'name' | 'peakRssBytes' | 'crashes'>[];
  /** Pages of metrics that were read. */
  readonly pages: number;
  /** What commands, and pages of metrics, did that they should not. */
  readonly problems: readonly string[];
}

/** Prints the table and the last line; gives the exit code. */
export function printReport(outcome: Outcome): 0 | 1 {
  const { seed, records, flows, hanging, verification, workers, pages } = outcome;
  const { effects } = verification;
  console.table(Object.fromEntries(records.map((record) => [record.name, row(record, outcome)])));
  const kinds = new Map<string, number>();
  for (const { kind } of flows) kinds.set(kind.name, (kinds.get(kind.name) ?? 0) + 1);
  console.log(`flows: ${[...kinds].map(([name, count]) => `${count} ${name}`).join(', ')}`);
  console.log(`dead letters: ${flows.reduce((count, { letters }) => count + letters.size, 0)}, all resolved`);
  console.log(`pages of metrics: ${pages}`);
  for (const { name, peakRssBytes } of workers)
    console.log(`${name}: at most ${Math.round(peakRssBytes / 1_048_576)} MiB resident`);
  const problems = problemsOf(outcome);
  for (const problem of problems) console.log(problem);
  const faults = Object.fromEntries(records.map(({ name, strikes }) => [name, strikes.length]));
  const lost = sum(verification.findings, 'lost');
  const duplicated = sum(verification.findings, 'duplicated') + verification.duplicated.length;
  console.log(JSON.stringify({ seed, effects, lost, duplicated, hanging: hanging.length, faults }));
  return problems.length === 0 ? 0 : 1;
}

function problemsOf({ records, flows, hanging, verification, workers, problems }: Outcome): string[] {
  const { effects, findings, duplicated, strange } = verification;
  return [
    ...findings.flatMap(({ flow, lost }) => lost.map((effect) => `lost: ${effect} of ${flow.kind.name}`)),
    ...findings.flatMap(({ flow, duplicated: own }) => own.map((one) => `duplicated: ${one} of ${flow.kind.name}`)),
    ...duplicated.map((one) => `duplicated: ${one}`),
    ...hanging.map(({ id, kind }) => `hanging: ${id} (${kind.name})`),
    ...flows
      .filter(({ verdict }) => verdict !== undefined && verdict !== 'ok')
      .map(({ id, kind, verdict }) => `wrong: ${id} (${kind.name}): ${verdict}`),
    ...strange.map((one) => `strange: ${one}`),
    ...workers.flatMap(({ crashes }) => crashes.map((crash) => `crash: ${crash}`)),
    ...problems,
    ...records.flatMap(({ name, problems: own }) => own.map((problem) => `${name}: ${problem}`)),
    ...records
      .filter(({ isLoad }) => isLoad !== true)
      .flatMap(({ name, strikes }) =>
        strikes
          .filter(({ recoveredMs }) => recoveredMs === undefined)
          .map(() => `no recovery within the time after: ${name}`),
      ),
    ...(effects === 0 ? ['nothing ran'] : []),
    ...(records.every(({ strikes, isLoad }) => isLoad === true || strikes.length === 0) ? ['no fault was made'] : []),
  ];
}

function row({ missing, strikes }: FaultRecord, { verification, flows }: Outcome): Record<string, string | number> {
  if (missing !== undefined) return { times: 0, note: `not here: ${missing}` };
  const touched = flows.filter(({ startedAt, endedAt = Number.POSITIVE_INFINITY }) =>
    strikes.some(({ from, to }) => startedAt <= to && endedAt >= from),
  );
  const findings = verification.findings.filter(({ flow }) => touched.some(({ id }) => id === flow.id));
  const recoveries = strikes.flatMap(({ recoveredMs }) => recoveredMs ?? []).sort((a, b) => a - b);
  return {
    times: strikes.length,
    flows: touched.length,
    lost: sum(findings, 'lost'),
    duplicated: sum(findings, 'duplicated'),
    'recovery p50 (s)': seconds(recoveries[Math.floor(recoveries.length / 2)]),
    'longest (s)': seconds(recoveries.at(-1)),
  };
}

function sum(findings: Verification['findings'], what: 'lost' | 'duplicated'): number {
  return findings.reduce((count, finding) => count + finding[what].length, 0);
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? '' : (ms / 1_000).toFixed(1);
}
