import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';
import type { Path } from './checker';

/** Most places of one name that are looked at for a message. */
const MAX_PLACES = 100;

/** A step: its list, its place in it, and its name. */
interface StepPlace {
  readonly list: Path;
  readonly index: number;
  readonly path: Path;
  /** `metadata.onFailure`, as it stands there. */
  readonly onFailure?: Json | undefined;
}

/** Where the steps of a document stand, to say of one what can be read of it, or why nothing. Read when it is first needed. */
export class StepIndex {
  #places: Map<string, StepPlace[]> | undefined;

  constructor(private readonly document: Json | undefined) {}

  /** Why the output of a step cannot be read at a path; undefined where there is no such step at all. */
  whyNotReadable(step: string, path: Path): string | undefined {
    const place = this.#nearest(step, path);
    if (place === undefined) return undefined;
    const name = `"${shortText(step)}"`;
    if (startsWith(path, place.path)) {
      const isOwn = !isBelowList(path.slice(place.path.length));
      return isOwn
        ? `${name} is this step itself; its result is not there yet`
        : `${name} is the group around, which has no output yet`;
    }
    if (!startsWith(path, place.list)) return `${name} is inside of ${groupOf(place)}, and read only there`;
    return place.list.at(-1) === 'branches'
      ? `${name} is another branch, which runs at the same time; read it after the fork`
      : `${name} runs after this step`;
  }

  /** Why `then` at a path cannot go on with a step; undefined where there is no such step at all. */
  whyNotReachable(step: string, path: Path): string | undefined {
    const place = this.#nearest(step, path);
    if (place === undefined) return undefined;
    const name = `"${shortText(step)}"`;
    if (!startsWith(path, place.list))
      return `${name} is inside of ${groupOf(place)}, and \`then\` stays in its own list`;
    const around = path[place.list.length + 1];
    return `${name} is in the list around, and \`then\` stays in its own; leave this list with "then: exit", and write "then: ${shortText(step)}" at "${shortText(String(around))}"`;
  }

  /** True where the flow may go on without a step, so that it may have an error to read. */
  mayHaveError(step: string, path: Path): boolean {
    const { onFailure = metadataOf(isJsonObject(this.document) ? this.document.document : undefined).onFailure } =
      this.#nearest(step, path) ?? {};
    return onFailure === 'continue';
  }

  /** The step of that name that shares most of the path. */
  #nearest(step: string, path: Path): StepPlace | undefined {
    this.#places ??= readPlaces(this.document);
    const places = (this.#places.get(step) ?? []).slice(0, MAX_PLACES);
    return places.reduce<StepPlace | undefined>(
      (best, place) => (best === undefined || shared(place.path, path) > shared(best.path, path) ? place : best),
      undefined,
    );
  }
}

/** Without recursion: a document may be deep. */
function readPlaces(document: Json | undefined): Map<string, StepPlace[]> {
  const places = new Map<string, StepPlace[]>();
  const left: { value: Json | undefined; path: Path }[] = [{ value: document, path: [] }];
  while (left.length > 0) {
    const { value, path } = left.pop() ?? { value: undefined, path: [] };
    if (!isJsonObject(value)) continue;
    for (const [key, item] of Object.entries(value)) {
      if (LISTS.has(key) && Array.isArray(item)) {
        for (const [index, entry] of item.entries()) {
          const [name] = isJsonObject(entry) ? Object.keys(entry) : [];
          if (name === undefined || !isJsonObject(entry)) continue;
          const { onFailure } = metadataOf(entry[name]);
          const place: StepPlace = { list: [...path, key], index, path: [...path, key, index, name], onFailure };
          places.set(name, [...(places.get(name) ?? []).slice(-MAX_PLACES), place]);
          left.push({ value: entry[name], path: place.path });
        }
      } else if (HOLDERS.has(key)) left.push({ value: item, path: [...path, key] });
    }
  }
  return places;
}

function metadataOf(value: Json | undefined): JsonObject {
  return isJsonObject(value) && isJsonObject(value.metadata) ? value.metadata : {};
}

const LISTS: ReadonlySet<string> = new Set(['do', 'try', 'branches', 'compensate']);
const HOLDERS: ReadonlySet<string> = new Set(['fork', 'catch', 'foreach', 'metadata']);

function startsWith(path: Path, beginning: Path): boolean {
  return beginning.every((segment, index) => path[index] === segment);
}

function shared(left: Path, right: Path): number {
  const difference = left.findIndex((segment, index) => right[index] !== segment);
  return difference === -1 ? left.length : difference;
}

function isBelowList(path: Path): boolean {
  return path.some((segment, index) => LISTS.has(String(segment)) && typeof path[index + 1] === 'number');
}

/** The nearest task around a list. */
function groupOf({ list }: StepPlace): string {
  const at = list.findLastIndex((segment) => typeof segment === 'number');
  const name = at === -1 ? undefined : list[at + 1];
  return name === undefined ? 'another list' : `"${shortText(String(name))}"`;
}
