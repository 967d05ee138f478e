import { DefaultFailureConverter, type FailureConverter, type Payload, type ProtoFailure } from '@temporalio/common';
import { contextOwner, OWNER_METADATA } from '../dsl/payload-owner';
import { isSealed } from './flow-owner';
import { withOwner } from './owned-payload-converter';

type Converted = ReturnType<FailureConverter['errorToFailure']>;

/** What Temporal's SDKs write in the place of a message that is encoded. */
const ENCODED = 'Encoded failure';

/**
 * Temporal's failure converter, without stack traces: they tell the tenants how the worker's machine is laid out (its own log has
 * those of unexpected errors). For tenants whose payloads are encrypted, messages become payloads, at every level. The type, which
 * is a code, stays readable: retry policies name it.
 */
class OwnedFailureConverter extends DefaultFailureConverter {
  override errorToFailure(...[error, converter, context]: Parameters<FailureConverter['errorToFailure']>): Converted {
    const failure = withoutStackTrace(super.errorToFailure(error, converter, context));
    const isEncrypted = contextOwner(context) !== undefined || isSealed();
    return isEncrypted ? encodeAttributes(failure, (value) => converter.toPayload(value, context)) : failure;
  }
}

export const failureConverter: FailureConverter = new OwnedFailureConverter();

function withoutStackTrace(failure: ProtoFailure): Converted {
  const { cause } = failure;
  return { ...failure, stackTrace: '', ...(cause == null ? {} : { cause: withoutStackTrace(cause) }) };
}

/** A copy: a failure that came from another workflow or an activity belongs to the error that it was read as. */
function encodeAttributes(failure: ProtoFailure, toPayload: (value: unknown) => Payload): Converted {
  const { message, cause, applicationFailureInfo } = failure;
  const attributes = message === ENCODED ? failure.encodedAttributes : undefined;
  return {
    ...failure,
    message: ENCODED,
    encodedAttributes: attributes == null ? toPayload({ message: message ?? '', stack_trace: '' }) : owned(attributes),
    ...(cause == null ? {} : { cause: encodeAttributes(cause, toPayload) }),
    ...(applicationFailureInfo?.details?.payloads == null
      ? {}
      : {
          applicationFailureInfo: {
            ...applicationFailureInfo,
            details: { payloads: applicationFailureInfo.details.payloads.map(owned) },
          },
        }),
  };
}

function owned(payload: Payload): Payload {
  return payload.metadata?.[OWNER_METADATA] == null ? withOwner(payload) : payload;
}
