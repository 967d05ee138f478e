/** Calls of functions in one flow, those of functions by functions among them: each has a copy of its own in the plan. */
export const MAX_FUNCTION_CALLS = 2_000;

/** Functions of one flow, and how deep they may call each other. */
export const MAX_FUNCTIONS = 500;
export const MAX_FUNCTION_DEPTH = 20;

/** What the calls of functions and flows in one document refer to, as far as it is known. */
export class Resolution {
  readonly #open = new Set<string>();
  /** Functions that each function calls, as often as it does; the flow itself is the one without a name. */
  readonly #calls = new Map<string, string[]>();

  /** Names of what could not be looked up, since there is no catalog at hand. */
  get open(): readonly string[] {
    return [...this.#open];
  }

  leaveOpen(what: string): void {
    this.#open.add(what);
  }

  /** True the first time: the definition has to be checked. */
  define(name: string): boolean {
    if (this.#calls.has(name)) return false;
    this.#calls.set(name, []);
    return true;
  }

  get functionCount(): number {
    return this.#calls.size;
  }

  addCall(from: string, to: string): void {
    const calls = this.#calls.get(from) ?? [];
    calls.push(to);
    this.#calls.set(from, calls);
  }

  /** Functions that call each other in a circle: `["a", "b", "a"]`; undefined where there is none. */
  findCircle(): readonly string[] | undefined {
    const done = new Set<string>();
    for (const start of this.#calls.keys()) {
      const circle = this.#circleFrom(start, [], done);
      if (circle !== undefined) return circle;
    }
    return undefined;
  }

  #circleFrom(name: string, way: readonly string[], done: Set<string>): readonly string[] | undefined {
    const at = way.indexOf(name);
    if (at !== -1) return [...way.slice(at), name];
    if (done.has(name)) return undefined;
    for (const called of this.#calls.get(name) ?? []) {
      const circle = this.#circleFrom(called, [...way, name], done);
      if (circle !== undefined) return circle;
    }
    done.add(name);
    return undefined;
  }

  /** What a function comes to with all that it calls; without a name, the flow. Only where there is no circle. */
  measure(name = '', measured = new Map<string, FunctionSize>()): FunctionSize {
    const known = measured.get(name);
    if (known !== undefined) return known;
    const called = (this.#calls.get(name) ?? []).map((inner) => this.measure(inner, measured));
    const size = {
      calls: called.reduce((sum, { calls }) => sum + 1 + calls, 0),
      depth: called.reduce((deepest, { depth }) => Math.max(deepest, depth + 1), 0),
    };
    measured.set(name, size);
    return size;
  }
}

/** Calls of functions below a function, and levels of them. */
export interface FunctionSize {
  readonly calls: number;
  readonly depth: number;
}
