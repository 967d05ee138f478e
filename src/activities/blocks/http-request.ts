import type { Json, JsonObject } from '../../dsl/json';
import { MAX_PAYLOAD_BYTES } from '../../dsl/step-request';
import type { BlockExecutor } from '../block';
import { notRetryable } from '../block-failure';
import { decodeContent, readBody } from '../http/answer';
import { buildHttpCall, type HttpArguments, type HttpCall, sendCall } from '../http/call';
import { redactHeaders } from '../http/headers';
import { runCall } from '../http/run';
import { statusFailure } from '../http/status-failure';
import { describeUrl } from '../http/url';
import type { HttpResponse } from '../ports/http-client';

/** Largest decoded answer that goes into the flow: what a value may have. As JSON or base64 it may be more, see findExcess. */
const MAX_ANSWER_BYTES = MAX_PAYLOAD_BYTES;

interface RequestArguments extends HttpArguments {
  readonly output?: 'content' | 'response' | 'raw';
  readonly redirect?: boolean;
}

/**
 * Runs `call: http` (OWS dsl-reference, "HTTP Call"): one request, its whole answer, in the form that `output` names.
 * Throws the BLW_HTTP_ codes of its spec and BLW_ARG_INVALID; the step's abort reason where it is aborted.
 */
export const httpRequest: BlockExecutor = async (args, context) => {
  // The block's schema has been applied: this is its shape.
  const { output = 'content', redirect = false, ...rest } = args as unknown as RequestArguments;
  const call = buildHttpCall(rest, context.step);
  return runCall(call, context, async (signal, onSending) => {
    const response = await sendCall(call, context, { signal, followRedirects: redirect, onSending });
    const expected = redirect ? '200 to 399' : '200 to 299';
    if (!isSuccess(response.statusCode, redirect)) throw await statusFailure(call, response, expected, context.signal);
    const bytes = await readAnswer(call, response);
    return formOutput(call, response, bytes, output);
  });
};

function isSuccess(statusCode: number, redirect: boolean): boolean {
  return statusCode >= 200 && statusCode < (redirect ? 400 : 300);
}

function readAnswer(call: HttpCall, response: HttpResponse): Promise<Buffer> {
  return readBody(response.body, MAX_ANSWER_BYTES, () =>
    notRetryable(
      'BLW_HTTP_TOO_LARGE',
      `${call.label}: got an answer of more than ${MAX_ANSWER_BYTES} bytes, expected at most that; ` +
        'write it to a blob with `call: http.stream`',
    ),
  );
}

function formOutput(
  call: HttpCall,
  response: HttpResponse,
  bytes: Buffer,
  output: 'content' | 'response' | 'raw',
): Json {
  if (output === 'raw') return bytes.toString('base64');
  const content = decodeContent(bytes, response.headers['content-type'], call.label);
  return output === 'content' ? content : describeExchange(call, response, content);
}

/** OWS's HTTP response. The request's URI is without its query and its credentials are redacted: outputs stay in the history. */
function describeExchange(call: HttpCall, response: HttpResponse, content: Json): JsonObject {
  // The real one is made when the call is sent.
  const headers = call.authentication === undefined ? call.headers : { ...call.headers, authorization: '' };
  return {
    request: { method: call.method, uri: describeUrl(call.url), headers: redactHeaders(headers) },
    statusCode: response.statusCode,
    headers: { ...response.headers },
    content,
  };
}
