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
}

interface Outcome {
  readonly seed: number;
  readonly records: readonly FaultRecord[];
  readonly flows: readonly ChaosFlow[];
  readonly hanging: readonly ChaosFlow[];
  readonly verification: Verification;
  readonly workers: readonly WorkerProcess[];
}

/** Prints the table and the last line; gives the exit code. */
export function printReport(outcome: Outcome): 0 | 1 {
  const { seed, records, flows, hanging, verification, workers } = outcome;
  const { effects, findings } = verification;
  console.table(Object.fromEntries(records.map((record) => [record.name, row(record, outcome)])));
  const kinds = new Map<string, number>();
  for (const { kind } of flows) kinds.set(kind.name, (kinds.get(kind.name) ?? 0) + 1);
  console.log(`flows: ${[...kinds].map(([name, count]) => `${count} ${name}`).join(', ')}`);
  const letters = flows.flatMap((flow) => [...flow.letters.keys()]);
  const strange = letters.filter((key) => !EXPECTED_LETTERS.test(key));
  console.log(`dead letters: ${letters.length}, all resolved by looking whether the effect was there`);
  for (const { name, peakRssBytes } of workers)
    console.log(`${name}: at most ${Math.round(peakRssBytes / 1_048_576)} MiB resident`);
  const problems = [
    ...findings.flatMap(({ flow, lost }) => lost.map((effect) => `lost: ${effect} of ${flow.kind.name}`)),
    ...findings.flatMap(({ flow, duplicated }) => duplicated.map((one) => `duplicated: ${one} of ${flow.kind.name}`)),
    ...hanging.map(({ id, kind }) => `hanging: ${id} (${kind.name})`),
    ...flows
      .filter(({ verdict }) => verdict !== undefined && verdict !== 'ok')
      .map(({ id, kind, verdict }) => `wrong: ${id} (${kind.name}): ${verdict}`),
    ...strange.map((key) => `unexpected dead letter: ${key}`),
    ...workers.flatMap(({ crashes }) => crashes.map((crash) => `crash: ${crash}`)),
    ...records.flatMap(({ name, problems: own }) => own.map((problem) => `${name}: ${problem}`)),
    ...records.flatMap(({ name, strikes }) =>
      strikes
        .filter(({ recoveredMs }) => recoveredMs === undefined)
        .map(() => `no recovery within the time after: ${name}`),
    ),
    ...(effects === 0 ? ['nothing ran'] : []),
    ...(records.every(({ strikes }) => strikes.length === 0) ? ['no fault was made'] : []),
  ];
  for (const problem of problems) console.log(problem);
  const faults = Object.fromEntries(records.map(({ name, strikes }) => [name, strikes.length]));
  const [lost, duplicated] = [sum(findings, 'lost'), sum(findings, 'duplicated')];
  console.log(JSON.stringify({ seed, effects, lost, duplicated, hanging: hanging.length, faults }));
  return problems.length === 0 ? 0 : 1;
}

/** Only of a request that may not be repeated can the outcome stay unknown. */
const EXPECTED_LETTERS = /:\/do\/5\/post:0:0$/;

function row({ missing, strikes }: FaultRecord, { verification, flows }: Outcome): Record<string, string | number> {
  if (missing !== undefined) return { times: 0, note: `not here: ${missing}` };
  const touched = flows.filter(({ startedAt, endedAt = Number.POSITIVE_INFINITY }) =>
    strikes.some(({ from, to }) => startedAt <= to && endedAt >= from),
  );
  const findings = verification.findings.filter(({ flow }) => touched.includes(flow));
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
