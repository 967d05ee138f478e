/** Tables for people, and the same as JSON. */
import { cpus, totalmem } from 'node:os';
import { median } from './throughput.mjs';

const NAMES = { beamline: 'beamline', handWritten: 'by hand, tuned server', stock: 'by hand, stock server' };

export function machineLine({ version, slots }) {
  const model = cpus()[0]?.model ?? 'unknown CPU';
  return `beamline-worker ${version}, Node ${process.version}, ${cpus().length} cores (${model}), ${Math.round(totalmem() / 2 ** 30)} GiB, ${slots} slots`;
}

/** Rates of one shape. */
export function printRates(title, results) {
  console.log(`\n${title}`);
  console.table(
    Object.fromEntries(
      Object.entries(results).map(([name, runs]) => {
        const rates = runs.map(({ rate }) => rate);
        const [workerCpuMs, serverCpuMs] = ['workerCpuMs', 'serverCpuMs'].map((key) =>
          median(runs.map((run) => run[key])),
        );
        return [
          NAMES[name] ?? name,
          {
            'tasks/s (median)': Math.round(median(rates)),
            lowest: Math.round(Math.min(...rates)),
            highest: Math.round(Math.max(...rates)),
            'CPU ms a step: worker': workerCpuMs?.toFixed(2),
            server: serverCpuMs?.toFixed(2),
          },
        ];
      }),
    ),
  );
  const rateOf = (name) => median(results[name].map(({ rate }) => rate));
  for (const name of Object.keys(results).filter((other) => other !== 'beamline'))
    console.log(`beamline / ${NAMES[name]}: ${(rateOf('beamline') / rateOf(name)).toFixed(2)}`);
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
