/** One input that is tried. */
export interface AttackCase<World> {
  /** Row of the table. */
  readonly kind: string;
  /** Says what is tried, unique within its kind. */
  readonly name: string;
  /** A harmless input beside the hostile ones: it must succeed, so that nothing passes by refusing everything. */
  readonly isControl?: boolean;
  /**
   * Tries it. Undefined where all is well: the attack was blocked and had no effect, the control succeeded. Else what happened
   * instead.
   */
  attempt(world: World): Promise<string | undefined>;
}

/** The attacks on one part of the worker, and what they need. */
export interface AttackSuite<World> {
  readonly area: string;
  readonly cases: readonly AttackCase<World>[];
  /** Why it cannot be run here, where it cannot. */
  readonly skipped?: string;
  open(): Promise<World>;
  close(world: World): Promise<void>;
}

/** A suite whose world is its own business. */
export interface RunnableSuite {
  readonly area: string;
  readonly cases: readonly Pick<AttackCase<never>, 'kind' | 'name' | 'isControl'>[];
  readonly skipped?: string;
  /** Runs cases by their index, in one world, one after the other. */
  start(): Promise<{ attempt(index: number): Promise<string | undefined>; close(): Promise<void> }>;
}

/** Hides a suite's world. */
export function runnable<World>(suite: AttackSuite<World>): RunnableSuite {
  const { area, cases, skipped } = suite;
  return {
    area,
    cases,
    ...(skipped === undefined ? {} : { skipped }),
    async start() {
      const world = await suite.open();
      return {
        attempt: (index) => tryCase(cases[index], world),
        close: () => suite.close(world),
      };
    },
  };
}

/** What an attack throws by itself is no refusal: a case catches those that it expects. */
async function tryCase<World>(attack: AttackCase<World> | undefined, world: World): Promise<string | undefined> {
  if (attack === undefined) return 'there is no such case';
  try {
    return await attack.attempt(world);
  } catch (error) {
    return `threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
  }
}

/** What came of a call. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

export async function outcomeOf<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

/** A value for a report, cut where it is long. */
export function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** A text for the name of a case: escaped, cut where it is long. */
export function label(text: string): string {
  const escaped = JSON.stringify(text)
    .slice(1, -1)
    .replace(/[^\x20-\x7e]/g, (character) => {
      return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
    });
  return escaped.length > 70 ? `${escaped.slice(0, 70)}… (${text.length})` : escaped;
}

/** The code that a call failed with; undefined where it did not fail, or not with a code of ours. */
export function codeOf(outcome: Outcome<unknown>): string | undefined {
  if (!('error' in outcome)) return undefined;
  const { error } = outcome;
  const data = typeof error === 'object' && error !== null && 'data' in error ? error.data : undefined;
  const code = typeof data === 'object' && data !== null && 'code' in data ? data.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Undefined where the call was refused with one of these codes; else what happened. */
export function refusedWith(outcome: Outcome<unknown>, codes: readonly string[]): string | undefined {
  const code = codeOf(outcome);
  if (code !== undefined && codes.includes(code)) return undefined;
  return `expected ${codes.join(' or ')}, got ${described(outcome)}`;
}

/** What came of a call, for a report. */
export function described(outcome: Outcome<unknown>): string {
  if ('value' in outcome) return `success: ${shown(outcome.value)}`;
  const { error } = outcome;
  const message = error instanceof Error ? error.message : String(error);
  return `${codeOf(outcome) ?? 'an error without a code'}: ${shown(message)}`;
}
