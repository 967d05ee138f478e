/** As V8 writes them. */
const FRAME = /^ {4}at /;

/**
 * Where an error was thrown, without what it says: an error's message may quote anything, the frames only name files and functions.
 * Absent where the stack is not the error's name and message and then frames alone, so that no part of a message is taken for a
 * frame: of one that somebody has shortened since, the stack still has the rest.
 */
export function stackFrames({ name, message, stack }: Error): string | undefined {
  const heading = message === '' ? name : `${name}: ${message}`;
  if (stack?.startsWith(`${heading}\n`) !== true) return undefined;
  const frames = stack.slice(heading.length + 1);
  return frames.split('\n').every((line) => FRAME.test(line)) ? frames : undefined;
}
