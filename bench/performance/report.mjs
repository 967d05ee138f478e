/** Tables for people, and the same as JSON. */
import { cpus, totalmem } from 'node:os';
import { MAX_OTHERS, median } from './throughput.mjs';

const NAMES = { beamline: 'beamline', handWritten: 'by hand, tuned server', stock: 'by hand, stock server' };

export function machineOf() {
  return { cores: cpus().length, cpu: cpus()[0]?.model, memoryBytes: totalmem(), node: process.version };
}

export function machineLine(version) {
  const { cores, cpu = 'unknown CPU', memoryBytes, node } = machineOf();
  return `beamline-worker ${version}, Node ${node}, ${cores} cores (${cpu}), ${Math.round(memoryBytes / 2 ** 30)} GiB`;
}

export function printSettings(sides) {
  printTable(
    'settings',
    Object.fromEntries(Object.values(sides).map(({ name, settings }) => [NAMES[name] ?? name, settings])),
  );
}

/** Rates of one shape. */
export function printRates(title, results) {
  printTable(
    title,
    Object.fromEntries(Object.entries(results).map(([name, runs]) => [NAMES[name] ?? name, summaryOf(runs)])),
  );
  if (results.beamline === undefined) return;
  const rateOf = (name) => median(results[name].map(({ rate }) => rate));
  for (const name of Object.keys(results).filter((other) => other !== 'beamline'))
    console.log(`beamline / ${NAMES[name]}: ${(rateOf('beamline') / rateOf(name)).toFixed(2)}`);
}

/** Medians of the runs of one side, as cells. */
export function summaryOf(runs) {
  const rates = runs.map(({ rate }) => rate);
  const medianOf = (key) => median(runs.map((run) => run[key]));
  const cells = {
    'tasks/s (median)': Math.round(median(rates)),
    lowest: Math.round(Math.min(...rates)),
    highest: Math.round(Math.max(...rates)),
    'CPU ms a step: workers': medianOf('workerCpuMs')?.toFixed(2),
    'busiest thread': medianOf('busiestThreadCpuMs')?.toFixed(2),
    server: medianOf('serverCpuMs')?.toFixed(2),
    database: medianOf('databaseCpuMs')?.toFixed(2),
    client: medianOf('clientCpuMs')?.toFixed(2),
    'machine busy': percent(medianOf('machineBusy')),
    'by others': percent(medianOf('othersBusy')),
    'done again': runs.reduce((total, { disturbed }) => total + disturbed, 0) || undefined,
  };
  return Object.fromEntries(Object.entries(cells).filter(([, value]) => value !== undefined));
}

function percent(share) {
  return share === undefined ? undefined : `${Math.round(share * 100)} %`;
}

/** Says so where other processes had much of the machine in any shape. */
export function warnOfOthers(rates) {
  const shares = Object.values(rates).flatMap((results) =>
    Object.values(results).map((runs) => median(runs.map(({ othersBusy }) => othersBusy)) ?? 0),
  );
  const most = Math.max(...shares);
  if (most > MAX_OTHERS)
    console.log(
      `\nOther processes had up to ${percent(most)} of this machine: rates are too low, CPU time a step too high.`,
    );
}

/** Medians by side, rounded: what scripts compare. */
export function mediansOf(results) {
  return Object.fromEntries(
    Object.entries(results).map(([name, runs]) => [name, Math.round(median(runs.map(({ rate }) => rate)))]),
  );
}

export function printTable(title, rows) {
  console.log(`\n${title}`);
  console.table(rows);
}
