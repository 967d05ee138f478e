import { isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { isSameButPlaceholders } from '../dsl/placeholders';

/** Arguments are remembered up to so many characters of JSON, of so many deeds, the newest: they go along where the flow continues as new. */
const MAX_CHARACTERS = 10_000;
const MAX_REMEMBERED = 20;

/** What a step was run with, before somebody corrected it: another deed than what it is run with now, with a key of its own. */
export interface Deed {
  readonly generation: number;
  /** Name of the runs of the step that it had. */
  readonly execution?: string;
  /** Its arguments; absent where they are too large, or many came after. */
  readonly with?: JsonObject;
}

/** The deeds of a step with one more, or with what is known of it now. */
export function remember(deeds: readonly Deed[], deed: Deed): readonly Deed[] {
  const others = deeds.filter(({ generation }) => generation !== deed.generation);
  const isSmall = deed.with !== undefined && JSON.stringify(deed.with).length <= MAX_CHARACTERS;
  const kept = isSmall ? deed : withoutArguments(deed);
  return [...others.slice(0, 1 - MAX_REMEMBERED).map(withoutArguments), ...others.slice(1 - MAX_REMEMBERED), kept];
}

/** The deed with these arguments, which were run before; undefined where they were not. */
export function deedWith(deeds: readonly Deed[], args: Json): Deed | undefined {
  if (!isJsonObject(args)) return undefined;
  return deeds.find((deed) => deed.with !== undefined && isSameButPlaceholders(deed.with, args));
}

/** The generation of a deed that there was not before. */
export function nextGeneration(deeds: readonly Deed[], generation: number): number {
  return 1 + Math.max(generation, ...deeds.map((deed) => deed.generation));
}

function withoutArguments({ with: _, ...deed }: Deed): Deed {
  return deed;
}
