import { patched } from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import { lostPayloadOf } from '../dsl/undecodable';

/**
 * Gives back what came in from outside, a result or an argument; throws where it stands for a payload that is lost.
 *
 * The first time, that is an error of the flow, and a mark in the history says so. A replay that finds the mark takes the
 * same course. One that does not find it meets a payload that was there when the flow went on: to fail now would contradict
 * the history, so the workflow task fails, with the reason, and goes on once the content has been restored.
 */
export function readable<T>(value: T, what: string): T {
  const lost = lostPayloadOf(value);
  if (lost === undefined) return value;
  const { code, detail } = lost;
  if (patched(`lost payload: ${what}`)) throw flowError(code, `${what}: ${detail}`);
  throw new Error(`[${code}] ${what} was read before and cannot be read again: ${detail}`);
}
