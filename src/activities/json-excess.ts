/**
 * What JSON may hold that was not made by the flow itself. JSON.parse cannot be interrupted, and all steps of a worker share
 * one thread: 100 MiB of `{}` were measured at 55 s and 2.6 GB. With these limits the worst took 1.8 s; a table of 100 MiB
 * with 2.3 million rows of 3 columns passes.
 */
const LIMITS = { containers: 2_500_000, values: 12_000_000, names: 500_000 };

/** Nesting of data; deeper data overflows the stack of code that walks it. */
const MAX_DEPTH = 500;

/** Below this nothing can be too much but the depth, which {@link isDeeperThan} finds afterwards. */
const HARMLESS_BYTES = 1_048_576;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * Looks at JSON text before it is parsed: says what is too much about it, in words that complete "got JSON …"; undefined
 * where it is fine. What is no JSON at all is left to the parser.
 */
export function findJsonExcess(bytes: Buffer): string | undefined {
  return bytes.length <= HARMLESS_BYTES ? undefined : new JsonCounter(bytes).findExcess();
}

/** What is too much about the nesting of a value that was parsed, as {@link findJsonExcess} says it. */
export function findDepthExcess(value: unknown): string | undefined {
  return isDeeperThan(value, MAX_DEPTH) ? tooDeep() : undefined;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(item, levels - 1));
}

function tooDeep(): string {
  return `nested deeper than ${MAX_DEPTH} levels`;
}

class JsonCounter {
  #depth = 0;
  #containers = 0;
  #values = 0;
  #names = 0;
  /** Where the latest text lies, which is a name where a colon follows. */
  #start = 0;
  #end = 0;
  /** Hashes of names that were seen, so that the same names in every row count once; one that is overwritten counts again. */
  readonly #seen = new Uint32Array(65_536);

  constructor(private readonly bytes: Buffer) {}

  findExcess(): string | undefined {
    const { bytes } = this;
    for (let index = 0; index < bytes.length; index += 1) {
      switch (bytes[index]) {
        case QUOTE:
          this.#start = index;
          index = this.#endOfText(index);
          this.#end = index;
          break;
        case 0x7b: // {
        case 0x5b: // [
          this.#containers += 1;
          this.#depth += 1;
          if (this.#depth > MAX_DEPTH) return tooDeep();
          if (this.#containers > LIMITS.containers) return `with more than ${LIMITS.containers} objects and arrays`;
          break;
        case 0x7d: // }
        case 0x5d: // ]
          this.#depth -= 1;
          break;
        case 0x2c: // ,
          this.#values += 1;
          if (this.#values > LIMITS.values) return `with more than ${LIMITS.values} values`;
          break;
        case 0x3a: // :
          if (this.#isNewName()) this.#names += 1;
          if (this.#names > LIMITS.names) return `with more than ${LIMITS.names} different names`;
      }
    }
    return undefined;
  }

  /** The quote that ends a text; the end of the bytes where there is none. */
  #endOfText(start: number): number {
    const { bytes } = this;
    let end = start + 1;
    while (end < bytes.length && bytes[end] !== QUOTE) end += bytes[end] === BACKSLASH ? 2 : 1;
    return end;
  }

  /** FNV-1a over the name. */
  #isNewName(): boolean {
    let hash = 0x811c9dc5;
    for (let index = this.#start + 1; index < this.#end; index += 1) {
      hash = Math.imul(hash ^ (this.bytes[index] ?? 0), 0x01000193);
    }
    const slot = (hash ^ (hash >>> 16)) & 0xffff;
    const mark = hash >>> 0 || 1;
    if (this.#seen[slot] === mark) return false;
    this.#seen[slot] = mark;
    return true;
  }
}
