import { isJsonObject, type JsonObject } from '../../dsl/json';
import { requireScope } from '../access/access';
import { needBlob } from '../access/scopes';
import type { BlockContext, BlockExecutor } from '../block';
import { BlockFailure, notRetryable } from '../block-failure';
import type { SendOptions } from '../http/authorized-send';
import { buildHttpCall, type HttpArguments, type HttpCall, sendCall } from '../http/call';
import { type AnswerPart, behind, goesOn, mayResume, partOf, validatorOf, wholeAnswer } from '../http/resume';
import { runCall } from '../http/run';
import { statusFailure } from '../http/status-failure';
import type { BlobInfo, PartRules, TakenPart } from '../ports/blob-store';
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
 * Runs `call: http.stream`: writes an answer of any size to a blob with constant memory; the blob appears whole or not at all. Goes on from
 * what the attempt before has left, where the server says that it is still the same.
 * Throws the codes of its spec, what the blob store throws, and the step's abort reason where it is aborted.
 */
export const httpStream: BlockExecutor = async (args, context) => {
  // The block's schema has been applied: this is its shape.
  const { to, maxBytes = DEFAULT_MAX_BYTES, sha256, ...rest } = args as unknown as StreamArguments;
  const call = buildHttpCall(rest, context.step);
  const { access } = context.step;
  // What may not be kept is not asked for either: the call may change something.
  if (access !== undefined) requireScope(access, needBlob('write', to));
  const progress = reportProgress(context);
  try {
    return await runCall(call, context, async (signal, onSending) => {
      const left = await takeUp(call, to, context, signal);
      try {
        const { response, goesOnFrom } = await ask(call, left, context, { signal, followRedirects: true, onSending });
        if (response.statusCode < 200 || response.statusCode > 299) {
          throw await statusFailure(call, response, '200 to 299', context.signal);
        }
        const totalBytes = parseLength(response.headers['content-length']);
        checkLength(call, response, { totalBytes, maxBytes });
        const info = await store(response, context, {
          to,
          maxBytes,
          call,
          signal,
          ...(totalBytes === undefined ? {} : { expectedBytes: totalBytes }),
          ...(sha256 === undefined ? {} : { expectedSha256: sha256.toLowerCase() }),
          ...(goesOnFrom === undefined ? {} : { goesOnFrom }),
          progress,
        });
        return formOutput(info, response);
      } catch (error) {
        if (error instanceof BlockFailure && !error.options.retryable) await left?.taken.forget();
        throw error;
      } finally {
        await left?.taken.discard();
      }
    });
  } finally {
    progress.stop();
  }
};

/** What the attempt before has left, ready to be gone on from. */
interface Left {
  readonly part: AnswerPart;
  readonly taken: TakenPart;
}

async function takeUp(
  call: HttpCall,
  to: string,
  { step, ports, lastHeartbeat }: BlockContext,
  signal: AbortSignal,
): Promise<Left | undefined> {
  const part = mayResume(call) ? partOf(lastHeartbeat) : undefined;
  if (part === undefined) return undefined;
  const taken = await ports.blobs.takePart(step.tenant, to, { key: step.idempotencyKey, part, signal });
  return taken === undefined ? undefined : { part, taken };
}

/** Asks for what is missing, and for everything where there is nothing to go on from. The answer tells of the whole; its body may be the rest. */
async function ask(
  call: HttpCall,
  left: Left | undefined,
  context: BlockContext,
  options: SendOptions,
): Promise<{ response: HttpResponse; goesOnFrom?: Left }> {
  if (left === undefined) return { response: await sendCall(call, context, options) };
  const response = await sendCall(behind(call, left.part), context, options);
  if (goesOn(response, left.part)) return { response: wholeAnswer(response, left.part), goesOnFrom: left };
  const isOver = response.statusCode === 200 || response.statusCode === 206 || response.statusCode === 416;
  if (isOver) await left.taken.forget();
  // Another part than the one that was asked for, or none: only what comes whole is of use.
  if (response.statusCode !== 206 && response.statusCode !== 416) return { response };
  response.body.on('error', () => undefined).destroy();
  return { response: await sendCall(call, context, options) };
}

interface StoreOptions {
  readonly to: string;
  readonly maxBytes: number;
  readonly call: HttpCall;
  readonly expectedBytes?: number;
  readonly expectedSha256?: string;
  readonly goesOnFrom?: Left;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

async function store(
  response: HttpResponse,
  context: BlockContext,
  { to, call, progress, goesOnFrom, ...options }: StoreOptions,
): Promise<BlobInfo> {
  const contentType = response.headers['content-type'];
  const { tenant, execution } = context.step;
  // The last part of an answer need not say again what it is.
  const validator = goesOnFrom?.part.validator ?? (mayResume(call) ? validatorOf(response) : undefined);
  progress.describe = () => ({ bytes: 0, ...totalOf(options) });
  try {
    return await context.ports.blobs.put(tenant, to, response.body, {
      ...options,
      fence: context.fence,
      ...(execution === undefined ? {} : { execution }),
      ...(contentType === undefined ? {} : { contentType }),
      ...(goesOnFrom === undefined ? {} : { after: goesOnFrom.taken }),
      ...(validator === undefined
        ? {}
        : {
            part: partRules(
              { validator, ...(contentType === undefined ? {} : { contentType }) },
              context,
              options,
              progress,
            ),
          }),
      onProgress: (bytes) => {
        if (validator === undefined) progress.describe = () => ({ bytes, ...totalOf(options) });
      },
    });
  } catch (error) {
    // Before the step ends: the next attempt begins with it.
    progress.report();
    if (options.signal.aborted) throw options.signal.reason;
    throw hasNoRoom(error) && !call.isRepeatable ? lostAnswer(to, error) : error;
  } finally {
    // A store that fails before it reads would leave the connection open.
    response.body.destroy();
  }
}

function partRules(
  known: Pick<AnswerPart, 'validator' | 'contentType'>,
  { step }: BlockContext,
  options: Pick<StoreOptions, 'signal' | 'expectedBytes'>,
  progress: Progress,
): PartRules {
  return {
    key: step.idempotencyKey,
    keepsAfter: (error) => options.signal.aborted || hasBrokenOff(error),
    onBegin: (describe) => {
      progress.describe = () => {
        const part = describe();
        return { bytes: part.size, ...totalOf(options), part: { ...part, ...known } };
      };
    },
  };
}

function totalOf({ expectedBytes }: { readonly expectedBytes?: number }): JsonObject {
  return expectedBytes === undefined ? {} : { totalBytes: expectedBytes };
}

/** True for an answer that ended too early. */
function hasBrokenOff(error: unknown): boolean {
  return error instanceof BlockFailure && error.data.code === 'BLW_HTTP_OUTCOME_UNKNOWN';
}

function hasNoRoom(error: unknown): error is BlockFailure {
  return error instanceof BlockFailure && error.data.code === 'BLW_QUOTA_WAIT';
}

/** To wait for room is to ask again, and what the call did must not be done twice. */
function lostAnswer(to: string, cause: BlockFailure): Error {
  const detail = `${to}: there is no room for the answer in the tenant's quota blobBytes, and the call is not repeated; it may have taken effect`;
  return notRetryable('BLW_QUOTA_NEVER', detail, { cause });
}

interface Progress {
  /** What a heartbeat says. */
  describe: () => JsonObject;
  report(): void;
  stop(): void;
}

/** Heartbeats once a second until stopped; what the attempt before has said until there is something new. */
function reportProgress(context: BlockContext): Progress {
  const { lastHeartbeat } = context;
  const first = isJsonObject(lastHeartbeat) ? lastHeartbeat : { bytes: 0 };
  const progress: Progress = {
    describe: () => first,
    report: () => context.heartbeat(progress.describe()),
    stop: () => clearInterval(timer),
  };
  const timer = setInterval(progress.report, REPORT_INTERVAL_MS);
  progress.report();
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
