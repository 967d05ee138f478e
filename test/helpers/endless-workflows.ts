/** Code that never waits. */
export async function endless(): Promise<never> {
  for (;;);
}

/** Code that waits for nothing, for ever. */
export async function restless(): Promise<never> {
  for (;;) await Promise.resolve();
}

export async function short(): Promise<string> {
  return 'done';
}
