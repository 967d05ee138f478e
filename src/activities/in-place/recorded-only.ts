import type { RecordedOnly, Unrecorded } from '../../dsl/local-step';

/**
 * A local activity with an effect outside its flow. Where the flow has asked on the word of a step in place that is not in the history yet,
 * nothing is done, and the flow asks again: the answer says so, since only what it hears is the same in a replay.
 */
export function recordedOnly<Request extends object, R>(
  activity: (request: Request) => Promise<R>,
): (request: Request & RecordedOnly) => Promise<R | Unrecorded> {
  return async ({ isUnrecorded, ...request }) =>
    isUnrecorded === true ? { unrecorded: true } : await activity(request as unknown as Request);
}
