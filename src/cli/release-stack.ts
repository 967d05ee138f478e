/** Releases what was acquired, the last first. One that fails is reported and does not keep the others from it. */
export class ReleaseStack {
  readonly #releases: (() => unknown)[] = [];

  constructor(private readonly onError: (error: unknown) => void) {}

  add(release: () => unknown): void {
    this.#releases.push(release);
  }

  async releaseAll(): Promise<void> {
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        this.onError(error);
      }
    }
  }
}
