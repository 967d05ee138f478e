/**
 * Does for all that ask at once what one of them would do: what is under way began before somebody asked and does not count for them,
 * so all that ask meanwhile share the next, which begins after it.
 */
export class SharedWork {
  readonly #underWay = new Map<string, { readonly now: Promise<void>; next?: Promise<void> }>();

  constructor(private readonly work: (key: string) => Promise<void>) {}

  /** Rejects as the work does, for all that share it. */
  share(key: string): Promise<void> {
    const found = this.#underWay.get(key);
    if (found === undefined) return this.#begin(key);
    found.next ??= found.now.then(
      () => this.#begin(key),
      () => this.#begin(key),
    );
    return found.next;
  }

  #begin(key: string): Promise<void> {
    const now = this.work(key).finally(() => {
      const entry = this.#underWay.get(key);
      if (entry?.next === undefined) this.#underWay.delete(key);
    });
    this.#underWay.set(key, { now });
    return now;
  }
}
