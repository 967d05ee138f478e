import type { Experience } from './job-queue';

const MAX_REMEMBERED = 5_000;

/** How long an expression that was stopped is kept out of the fast lane. */
const SLOW_FOR_MS = 600_000;

/** How the expressions of a worker have done lately, by their text. */
export class ExpressionMemory {
  readonly #quick = new Set<string>();
  readonly #slowSince = new Map<string, number>();

  /** What to expect of expressions that are evaluated together. */
  of(expressions: readonly string[]): Experience {
    if (expressions.some((text) => this.#isSlow(text))) return 'slow';
    return expressions.every((text) => this.#quick.has(text)) ? 'quick' : 'unknown';
  }

  wasQuick(expressions: readonly string[]): void {
    for (const text of expressions) {
      if (this.#quick.size >= MAX_REMEMBERED) this.#quick.clear();
      this.#quick.add(text);
    }
  }

  wasStopped(expression: string): void {
    if (this.#slowSince.size >= MAX_REMEMBERED) this.#slowSince.clear();
    this.#slowSince.set(expression, performance.now());
    this.#quick.delete(expression);
  }

  #isSlow(text: string): boolean {
    const since = this.#slowSince.get(text);
    return since !== undefined && performance.now() - since < SLOW_FOR_MS;
  }
}
