import { formatDuration } from '../../dsl/durations';
import { printable, type StyleName } from '../output';
import { roundedBytes } from '../usage-view';
import { type Cell, cut, type Line, layOut, wrap } from './lines';
import type { PoolView, StepView, TenantView, TopView, WaitingView } from './top-view';

/** The place that there is, in characters and lines; either may be infinite. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What stands around the figures. */
export interface Frame extends Size {
  /** Where Temporal is. */
  readonly address: string;
  readonly namespace: string;
  /** The last line, e.g. how to end it; absent: none. */
  readonly footer?: string;
}

const DASH = '-';

/** Lines of a frame, none wider and no more than there is place for: of steps and tenants the first ones, the rest whole. */
export function drawTop(view: TopView, frame: Frame): readonly Line[] {
  const top = [headOf(view, frame), ...processLines(view), [], ...poolLines(view.pools)];
  const { width } = frame;
  const counts = [
    [],
    ...flowLines(view, width),
    ...waitingLines(view, width),
    ...degradedLines(view, width),
    ...noteLines(view, width),
  ];
  const bottom: Line[] = frame.footer === undefined ? [] : [[{ text: frame.footer, style: 'dim' }]];
  const room = frame.height - top.length - counts.length - bottom.length;
  const lines = [...top, ...rowsThatFit(view, room), ...counts];
  // What has no place at the end goes; the last line says how to leave.
  return [...lines.slice(0, Math.max(0, frame.height - bottom.length)), ...bottom].map((line) =>
    cut(line, frame.width),
  );
}

function headOf({ at }: TopView, { address, namespace }: Frame): Line {
  const where = `${printable(address)}  ${printable(namespace)}`;
  return [{ text: 'beamline top', style: 'bold' }, { text: `  ${where}  ${at.replace(/\.\d+Z$/, 'Z')}` }];
}

function processLines({ processes }: TopView): Line[] {
  if (processes === undefined) return [];
  const { seen, draining, cpus, memoryBytes, flowsCached } = processes;
  const parts = [
    `${seen} ${seen === 1 ? 'worker' : 'workers'} with metrics${draining === 0 ? '' : ` (${draining} stopping)`}`,
    ...(cpus === undefined ? [] : [`${cpus.toFixed(2)} processors`]),
    ...(memoryBytes === undefined ? [] : [`${roundedBytes(memoryBytes)} memory`]),
    ...(flowsCached === undefined ? [] : [`${flowsCached} flows in memory`]),
  ];
  return [[{ text: parts.join(', ') }]];
}

function poolLines(pools: readonly PoolView[]): Line[] {
  const rows = pools.map((pool): Cell[] => {
    const { workers, slotsUsed, slots, queueDepth, queueAgeSeconds, startP95Ms } = pool;
    const isFull = slots !== undefined && slotsUsed === slots && slots > 0;
    // What waits where nobody takes it is the first thing to see.
    const isAlone = workers === 0 && queueDepth > 0;
    return [
      { text: pool.pool },
      { text: `${workers}`, ...styled(isAlone ? 'red' : undefined) },
      { text: slots === undefined ? DASH : `${slotsUsed}/${slots}`, ...styled(isFull ? 'yellow' : undefined) },
      { text: countOf(queueDepth), ...styled(isAlone ? 'red' : undefined) },
      { text: queueDepth === 0 ? DASH : ageOf(queueAgeSeconds) },
      { text: rateOf(pool.addedPerSecond) },
      { text: rateOf(pool.dispatchedPerSecond) },
      { text: latencyOf(startP95Ms) },
    ];
  });
  return layOut(['POOL', 'WORKERS', 'SLOTS', 'QUEUE', 'OLDEST', 'ADDED/S', 'SENT/S', 'START P95'], rows);
}

/** Two tables in the lines that there are: tenants have a third of them, more where the steps need less. */
function rowsThatFit({ steps, tenants }: TopView, room: number): Line[] {
  const overhead = (count: number) => (count === 0 ? 0 : 2);
  const rows = Math.max(0, room - overhead(steps.length) - overhead(tenants.length));
  const forTenants = Math.min(tenants.length, Math.max(Math.floor(rows / 3), rows - steps.length));
  const forSteps = Math.min(steps.length, rows - forTenants);
  return [...section(stepLines(steps), forSteps), ...section(tenantLines(tenants), forTenants)];
}

/** A blank line, a header, and so many rows; of those that are left out, how many. */
function section(table: readonly Line[], rows: number): Line[] {
  const [header, ...all] = table;
  if (header === undefined || all.length === 0 || rows === 0) return [];
  if (all.length <= rows) return [[], header, ...all];
  const left = all.length - rows + 1;
  return [[], header, ...all.slice(0, rows - 1), [{ text: `… and ${left} more`, style: 'dim' }]];
}

function stepLines(steps: readonly StepView[]): Line[] {
  const rows = steps.map((step): Cell[] => {
    const { failedPerSecond = 0, retriedPerSecond = 0 } = step;
    return [
      { text: printable(step.type) },
      { text: rateOf(step.perSecond) },
      { text: rateOf(step.failedPerSecond), ...styled(failedPerSecond > 0 ? 'red' : undefined) },
      { text: rateOf(step.retriedPerSecond), ...styled(retriedPerSecond > 0 ? 'yellow' : undefined) },
      { text: latencyOf(step.p50Ms) },
      { text: latencyOf(step.p95Ms) },
      { text: countOf(step.ended) },
    ];
  });
  return layOut(['STEP', 'RUN/S', 'FAILED/S', 'RETRIED/S', 'P50', 'P95', 'ENDED'], rows);
}

function tenantLines(tenants: readonly TenantView[]): Line[] {
  const rows = tenants.map(({ tenant, running, waiting, overQuota }): Cell[] => [
    { text: tenant === '' ? '(none)' : printable(tenant) },
    { text: running === undefined ? DASH : countOf(running) },
    { text: waiting === undefined ? DASH : countOf(waiting) },
    { text: printable(overQuota.join(', ')), style: 'yellow' },
  ]);
  return layOut(['TENANT', 'RUNNING', 'WAITING', 'OVER QUOTA'], rows, { left: [0, 3] });
}

/** Only statuses that there are; that nothing runs is worth a word. */
function flowLines({ flows }: TopView, width: number): Line[] {
  const open = Object.entries(flows.open)
    .filter(([status, count]) => count > 0 || status === 'Running')
    .map(([status, count]) => `${countOf(count)} ${status}`);
  const ended = Object.entries(flows.endedLastHour).map(([status, count]) => `${countOf(count)} ${status}`);
  return [
    ...labelled('flows', open.join(', '), { width }),
    ...labelled('last hour', ended.join(', ') || 'none ended', { width }),
  ];
}

/** In one line, or one for each where that is too long. */
function waitingLines({ approvals, deadLetters }: TopView, width: number): Line[] {
  const { flows } = deadLetters;
  const letters = `${countOf(flows)} ${flows === 1 ? 'flow' : 'flows'} with dead letters${oldest(deadLetters)}`;
  const asked = `${countOf(approvals.waiting)} ${approvals.waiting === 1 ? 'approval' : 'approvals'}${oldest(approvals)}`;
  const askedStyle = styled(approvals.waiting > 0 ? 'yellow' : undefined);
  const lettersStyle = styled(flows > 0 ? 'red' : undefined);
  if (LABEL_WIDTH + asked.length + '; '.length + letters.length > width) {
    return [
      ...labelled('waiting', asked, { width, ...askedStyle }),
      ...labelled('', letters, { width, ...lettersStyle }),
    ];
  }
  return [
    [
      { text: 'waiting'.padEnd(LABEL_WIDTH) },
      { text: asked, ...askedStyle },
      { text: '; ' },
      { text: letters, ...lettersStyle },
    ],
  ];
}

function oldest({ oldestSeconds, isOlder }: Partial<WaitingView>): string {
  if (oldestSeconds === undefined) return '';
  return `, the oldest for ${isOlder === true ? 'more than ' : ''}${ageOf(oldestSeconds)}`;
}

function degradedLines({ degraded }: TopView, width: number): Line[] {
  return degraded.flatMap(({ part, workers, since, message }) => {
    const where = `${workers} ${workers === 1 ? 'worker' : 'workers'}`;
    const why = message === undefined ? '' : `: ${message}`;
    const from = since === undefined ? '' : ` since ${since.replace(/\.\d+Z$/, 'Z')}`;
    return labelled('degraded', printable(`${part} (${where}${from})${why}`), { width, style: 'red' });
  });
}

function noteLines({ notes }: TopView, width: number): Line[] {
  return notes.flatMap((note) => labelled('note', printable(note), { width, style: 'yellow' }));
}

const LABEL_WIDTH = 'last hour'.length + 2;

/** In as many lines as it takes: what is to be done about it is often at the end. */
function labelled(label: string, text: string, { width, style }: { width: number; style?: StyleName }): Line[] {
  return wrap(text, width - LABEL_WIDTH).map((part, index) => [
    { text: (index === 0 ? label : '').padEnd(LABEL_WIDTH) },
    { text: part, ...styled(style) },
  ]);
}

function styled(style: StyleName | undefined): { style?: StyleName } {
  return style === undefined ? {} : { style };
}

function rateOf(perSecond: number | undefined): string {
  if (perSecond === undefined) return DASH;
  if (perSecond === 0) return '0';
  return perSecond < 0.05 ? '<0.1' : perSecond.toFixed(1);
}

function latencyOf(ms: number | undefined): string {
  return ms === undefined ? DASH : formatDuration(ms);
}

function ageOf(seconds: number): string {
  return formatDuration(seconds * 1_000);
}

function countOf(count: number): string {
  return `${Math.round(count)}`.replace(/\B(?=(\d{3})+$)/g, ',');
}
