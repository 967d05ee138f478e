import type { Payload, PayloadConverter } from '@temporalio/common';
import { messageOf } from '../dsl/errors';
import { undecodable } from '../dsl/undecodable';
import { payloadConverter as largePayloadConverter } from './large-payload-converter';

/**
 * Temporal's default converter, but for payloads that it cannot read (broken JSON, an unknown encoding), which anybody can
 * send to a workflow. The default throws, and the workflow task fails for ever; here the receiver gets a value that says
 * why, and refuses it: a start fails at once, an update is rejected, a signal is noted as refused.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value) => largePayloadConverter.toPayload(value),
  fromPayload: <T>(payload: Payload): T => {
    try {
      return largePayloadConverter.fromPayload<T>(payload);
    } catch (error) {
      // The type of what was sent is the caller's assumption in any case; receivers of foreign data check it.
      return undecodable(messageOf(error)) as T;
    }
  },
};
