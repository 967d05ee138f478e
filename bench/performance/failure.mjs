/** What stops a benchmark and is no defect of it: told in a sentence, without a stack. */

export class BenchFailure extends Error {
  name = 'BenchFailure';
}

/** One line about an error of the product or of Temporal, with its causes; a stack only where it may be the benchmark's own defect. */
export function describeFailure(error) {
  if (error instanceof BenchFailure) return messagesOf(error);
  // The product's errors have a code, Temporal's and the command line's parser have names of their own.
  const isOwnDefect =
    !(error instanceof Error) || ['Error', 'TypeError', 'ReferenceError', 'RangeError'].includes(error.name);
  const isKnown = typeof error?.code === 'string';
  return isOwnDefect && !isKnown ? (error?.stack ?? String(error)) : messagesOf(error);
}

/** `it failed: because of this: because of that`. */
export function messagesOf(error) {
  const messages = [];
  for (let at = error; at instanceof Error && messages.length < 5; at = at.cause)
    if (!messages.some((message) => message.includes(at.message))) messages.push(at.message);
  return messages.join(': ');
}
