import { request } from 'undici';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import { printable } from '../output';
import type { Endpoint } from './endpoints';
import { type MetricPage, parsePrometheusText } from './prometheus-text';

/** A page takes milliseconds; while Temporal is away, 2 s for the queues, and the first one as long as it waits for figures of the installation. */
const TIMEOUT_MS = 4_000;

/** Largest page that is read. A worker's has some hundred KiB. */
const MAX_BYTES = 16 * 1_024 * 1_024;

/** What is taken of a status: so many entries of each list, and so many characters of each text; a worker's has fewer. */
const MAX_ENTRIES = 1_000;
const MAX_TEXT_LENGTH = 500;

/** A part that a worker does without just now. */
export interface DegradedPart {
  readonly part: string;
  readonly since?: string;
  readonly message?: string;
}

/** What `/status` says beside the metrics. */
export interface WorkerStatus {
  readonly degraded: readonly DegradedPart[];
  readonly overQuota: readonly { readonly tenant: string; readonly quota: string }[];
  readonly isDraining: boolean;
}

/** What a worker shows at a moment, in ms since 1970, or why that is not known. */
export type WorkerReading = { readonly endpoint: Endpoint; readonly at: number } & (
  | { readonly page: MetricPage; readonly status?: WorkerStatus }
  | { readonly problem: string }
);

/** Asks a worker for its metrics, and for its status where it has that. */
export async function readWorker(endpoint: Endpoint, now: () => number = Date.now): Promise<WorkerReading> {
  const at = now();
  try {
    const page = parsePrometheusText(await fetchText(`${endpoint.url}/metrics`));
    if (!page.has('worker_info')) {
      return { endpoint, at, problem: 'has metrics, but not those of a worker; is it Prometheus itself?' };
    }
    // The metrics say which parts are degraded as well; the status only adds why.
    const status = await fetchText(`${endpoint.url}/status`).then(parseStatus, () => undefined);
    return { endpoint, at, page, ...(status === undefined ? {} : { status }) };
  } catch (error) {
    return { endpoint, at, problem: `does not answer: ${reasonOf(error)}` };
  }
}

async function fetchText(url: string): Promise<string> {
  // Not by fetch, which knows of ports that a browser must not reach.
  const { statusCode, body } = await request(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`it sends more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (statusCode !== 200) throw new Error(`status ${statusCode}`);
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(error: unknown): string {
  const { name, code, message } = error as NodeJS.ErrnoException;
  if (name === 'TimeoutError') return `nothing within ${TIMEOUT_MS / 1_000} s`;
  return printable(typeof code === 'string' ? code : message);
}

/** Undefined where it is not of the form that workers send. */
function parseStatus(text: string): WorkerStatus | undefined {
  const value = JSON.parse(text) as Json;
  if (!isJsonObject(value)) return undefined;
  return {
    degraded: objectsOf(value.degraded).flatMap(({ part, since, message }) =>
      typeof part === 'string'
        ? [
            {
              part: cut(part),
              ...(typeof since === 'string' ? { since: cut(since) } : {}),
              ...(typeof message === 'string' ? { message: cut(message) } : {}),
            },
          ]
        : [],
    ),
    overQuota: objectsOf(value.tenants_over_quota).flatMap(({ tenant, quota }) =>
      typeof tenant === 'string' && typeof quota === 'string' ? [{ tenant: cut(tenant), quota: cut(quota) }] : [],
    ),
    isDraining: value.draining === true,
  };
}

function objectsOf(value: Json | undefined) {
  return Array.isArray(value) ? value.slice(0, MAX_ENTRIES).filter(isJsonObject) : [];
}

function cut(text: string): string {
  return shortText(text, MAX_TEXT_LENGTH);
}
