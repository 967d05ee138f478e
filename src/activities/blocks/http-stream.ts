import type { JsonObject } from '../../dsl/json';
import type { BlockContext, BlockExecutor } from '../block';
import { BlockFailure, notRetryable } from '../block-failure';
import { buildHttpCall, type HttpArguments, type HttpCall, sendCall } from '../http/call';
import { runCall } from '../http/run';
import { statusFailure } from '../http/status-failure';
import type { BlobInfo } from '../ports/blob-store';
import type { HttpResponse } from '../ports/http-client';

/** 10 GiB, as the spec says. */
const DEFAULT_MAX_BYTES = 10_737_418_240;
/** A silent server must not look like a stalled worker, and a cancellation, which comes with a heartbeat, must come soon. */
const REPORT_INTERVAL_MS = 1_000;

interface StreamArguments extends HttpArguments {
  readonly to: string;
  readonly maxBytes?: number;
  readonly sha256?: string;
}

/**
 * Runs `call: http.stream`: writes an answer of any size to a blob with constant memory; the blob appears whole or not at all.
 * Throws the codes of its spec, what the blob store throws, and the step's abort reason where it is aborted.
 */
export const httpStream: BlockExecutor = async (args, context) => {
  // The block's schema has been applied: this is its shape.
  const { to, maxBytes = DEFAULT_MAX_BYTES, sha256, ...rest } = args as unknown as StreamArguments;
  const call = buildHttpCall(rest, context.step);
  const progress = reportProgress(context);
  try {
    return await runCall(call, context, async (signal, onSending) => {
      const response = await sendCall(call, context, { signal, followRedirects: true, onSending });
      if (response.statusCode < 200 || response.statusCode > 299) {
        throw await statusFailure(call, response, '200 to 299', context.signal);
      }
      progress.totalBytes = parseLength(response.headers['content-length']);
      checkLength(call, response, { totalBytes: progress.totalBytes, maxBytes });
      const info = await store(response, context, {
        to,
        maxBytes,
        isRepeatable: call.isRepeatable,
        signal,
        ...(progress.totalBytes === undefined ? {} : { expectedBytes: progress.totalBytes }),
        ...(sha256 === undefined ? {} : { expectedSha256: sha256.toLowerCase() }),
        onProgress: (bytes) => {
          progress.bytes = bytes;
        },
      });
      return formOutput(info, response);
    });
  } finally {
    progress.stop();
  }
};

interface StoreOptions {
  readonly to: string;
  readonly maxBytes: number;
  readonly isRepeatable: boolean;
  readonly expectedBytes?: number;
  readonly expectedSha256?: string;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
}

async function store(
  response: HttpResponse,
  context: BlockContext,
  { to, isRepeatable, ...options }: StoreOptions,
): Promise<BlobInfo> {
  const contentType = response.headers['content-type'];
  const { tenant, execution } = context.step;
  try {
    return await context.ports.blobs.put(tenant, to, response.body, {
      ...options,
      fence: context.fence,
      ...(execution === undefined ? {} : { execution }),
      ...(contentType === undefined ? {} : { contentType }),
    });
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason;
    throw hasNoRoom(error) && !isRepeatable ? lostAnswer(to, error) : error;
  } finally {
    // A store that fails before it reads would leave the connection open.
    response.body.destroy();
  }
}

function hasNoRoom(error: unknown): error is BlockFailure {
  return error instanceof BlockFailure && error.data.code === 'BLW_QUOTA_WAIT';
}

/** To wait for room is to ask again, and what the call did must not be done twice. */
function lostAnswer(to: string, cause: BlockFailure): Error {
  const detail = `${to}: there is no room for the answer in the tenant's quota blobBytes, and the call is not repeated; it may have taken effect`;
  return notRetryable('BLW_QUOTA_NEVER', detail, { cause });
}

/** Heartbeats `{bytes, totalBytes}` once a second until stopped. */
function reportProgress(context: BlockContext): { bytes: number; totalBytes: number | undefined; stop(): void } {
  const progress = { bytes: 0, totalBytes: undefined as number | undefined, stop: () => clearInterval(timer) };
  const report = () => {
    const { bytes, totalBytes } = progress;
    context.heartbeat(totalBytes === undefined ? { bytes } : { bytes, totalBytes });
  };
  const timer = setInterval(report, REPORT_INTERVAL_MS);
  report();
  return progress;
}

function parseLength(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

function checkLength(
  call: HttpCall,
  response: HttpResponse,
  { totalBytes, maxBytes }: { totalBytes: number | undefined; maxBytes: number },
): void {
  if (totalBytes === undefined || totalBytes <= maxBytes) return;
  response.body.destroy();
  throw notRetryable(
    'BLW_HTTP_TOO_LARGE',
    `${call.label}: got an answer of ${totalBytes} bytes, expected at most ${maxBytes}; raise maxBytes if that is right`,
  );
}

function formOutput(info: BlobInfo, response: HttpResponse): JsonObject {
  const { path, size, sha256 } = info;
  return { path, size, sha256, statusCode: response.statusCode, headers: { ...response.headers } };
}
