/**
 * Where an error was thrown, without what it says: an error's message may quote anything, the frames only name files and functions.
 * Absent where the stack does not begin with the error's name and message, so that no part of a message is taken for a frame.
 */
export function stackFrames({ name, message, stack }: Error): string | undefined {
  const heading = message === '' ? name : `${name}: ${message}`;
  return stack?.startsWith(`${heading}\n`) ? stack.slice(heading.length + 1) : undefined;
}
