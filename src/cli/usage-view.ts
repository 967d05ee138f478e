import { formatDuration } from '../dsl/durations';
import { sumUsage, type UsageDay } from '../worker/usage/usage-report';
import { printable, type Style } from './output';
import { formatTable } from './table';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

const HEADER = [
  'DAY',
  'TENANT',
  'STEPS',
  'FAILURES',
  'CPU TIME',
  'PEAK MEMORY',
  'READ',
  'WRITTEN',
  'BLOBS',
  'APPROVALS',
];

/** Lines of the table of usage; with a line for each tenant's sum where there are several days. */
export function usageTable(days: readonly UsageDay[], style: Style): string[] {
  const rows = days.map((usage) => rowOf(usage.day, usage));
  const isOneDay = new Set(days.map(({ day }) => day)).size <= 1;
  const sums = isOneDay ? [] : sumUsage(days).map((usage) => rowOf('all', usage));
  return formatTable(HEADER, [...rows, ...sums], style);
}

function rowOf(day: string, usage: Omit<UsageDay, 'day'>): string[] {
  const { tenant, steps, failures, cpuMs, peakMemoryBytes, bytesIn, bytesOut, blobBytes, approvals } = usage;
  const bytes = [peakMemoryBytes, bytesIn, bytesOut, blobBytes].map(roundedBytes);
  return [day, printable(tenant), `${steps}`, `${failures}`, formatDuration(cpuMs), ...bytes, `${approvals}`];
}

/** Rounded, for people: `1.5 MiB`. */
export function roundedBytes(bytes: number): string {
  if (bytes === 0) return '0';
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1_024 ** power;
  return `${power === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[power]}`;
}
