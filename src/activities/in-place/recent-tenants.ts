/** A tenant counts as there for so long after its last step, ms. */
const PRESENCE_MS = 10_000;

interface Seen {
  readonly tenant: string;
  readonly at: number;
}

/** Whether a tenant has the worker to itself. */
export class RecentTenants {
  #latest: Seen | undefined;
  /** The latest one of another tenant than that. */
  #other: Seen | undefined;

  constructor(private readonly now: () => number = () => performance.now()) {}

  see(tenant: string): void {
    if (this.#latest !== undefined && this.#latest.tenant !== tenant) this.#other = this.#latest;
    this.#latest = { tenant, at: this.now() };
  }

  /** Others than `tenant` had steps here of late. */
  hasOthersThan(tenant: string): boolean {
    const other = this.#latest?.tenant === tenant ? this.#other : this.#latest;
    return other !== undefined && this.now() - other.at < PRESENCE_MS;
  }
}
