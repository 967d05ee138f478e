/** So many are remembered, the newest. */
const REMEMBERED = 10_000;

/**
 * Knows what workflows have told the worker already. A workflow task whose completion the server refuses, since something came in
 * meanwhile, is done again, and not as a replay: what it tells comes a second time.
 */
export class ToldOnce {
  readonly #told = new Set<string>();

  /** True the first time; `key` should not be long. */
  isNew(key: string): boolean {
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    const [oldest] = this.#told;
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }
}
