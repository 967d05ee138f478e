import { isAlias, isCollection, isMap, isScalar, type Node, type Pair, Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { type Json, type JsonObject, setOwn } from './json';
import { type LocatedProblem, MAX_PROBLEMS, type Position, type Problem, shortText } from './problems';

/** Deepest nesting of a document that is read. */
export const MAX_DOCUMENT_DEPTH = 200;

/** Most values of a document, those included that aliases stand for: a few lines of aliases can stand for billions. */
const MAX_DOCUMENT_VALUES = 200_000;

/** As the author wrote it: an id of 17 digits would silently become another one, 1e30 is what it says. */
const INTEGER = /^[-+]?(\d+|0x[0-9a-fA-F]+|0o[0-7]+)$/;

/** A postcode or a file's mode loses its zeros without a word. */
const LEADING_ZERO = /^[-+]?0\d+$/;

/** Ends the reading: the problem that was reported last is about the document as a whole. */
class DocumentTooLarge extends Error {}

/**
 * Reads the nodes of a YAML document as JSON: no key twice, nothing that JSON cannot carry, aliases written out. What the
 * library does itself it does quadratically (unique keys, aliases) or with values that are no JSON (tags).
 */
export class DocumentReader {
  readonly problems: LocatedProblem[] = [];
  /** False where something is missing in the value that the text was meant to have: what is missed in it may only be that. */
  isWhole = true;
  readonly #anchors = new Map<string, Node>();
  readonly #path: (string | number)[] = [];
  /** Anchored nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #values = 0;
  /** Above 0 inside of an alias, whose node has been read and reported on already. */
  #aliases = 0;

  /** `roundsNumbers`: integers that JSON numbers cannot keep are rounded, as JSON.parse does, and not reported. */
  constructor(
    private readonly position: (offset: number) => Position,
    private readonly roundsNumbers = false,
  ) {}

  /** The value of a document's contents. Meaningless where {@link problems} has something. */
  read(root: Node | null): Json {
    try {
      return this.#read(root, 0);
    } catch (error) {
      if (error instanceof DocumentTooLarge) return null;
      throw error;
    }
  }

  #read(node: Node | null, depth: number): Json {
    this.#values += 1;
    if (this.#values > MAX_DOCUMENT_VALUES) {
      throw this.#tooLarge(
        node,
        `it has more than ${MAX_DOCUMENT_VALUES} values, those included that aliases stand for`,
      );
    }
    if (depth > MAX_DOCUMENT_DEPTH) throw this.#tooLarge(node, `it is nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
    if (node === null) return null;
    if (isAlias(node)) return this.#readAlias(node.source, node, depth);
    if (isScalar(node)) {
      this.#remember(node);
      return this.#readScalar(node);
    }
    return isCollection(node) ? this.#readCollection(node as YAMLMap | YAMLSeq, depth) : null;
  }

  #readCollection(node: YAMLMap | YAMLSeq, depth: number): Json {
    this.#remember(node);
    this.#open.add(node);
    const value = isMap(node) ? this.#readMap(node, depth) : this.#readList(node as YAMLSeq, depth);
    this.#open.delete(node);
    return value;
  }

  #readList(node: YAMLSeq, depth: number): Json[] {
    return node.items.map((item, index) => this.#readPart(index, item as Node | null, depth));
  }

  #readMap(node: YAMLMap, depth: number): JsonObject {
    const object: JsonObject = {};
    for (const pair of node.items as Pair<Node | null, Node | null>[]) {
      const key = this.#readKey(pair.key, object);
      if (key !== undefined) setOwn(object, key, this.#readPart(key, pair.value, depth));
    }
    return object;
  }

  #readPart(key: string | number, node: Node | null, depth: number): Json {
    this.#path.push(key);
    const value = this.#read(node, depth + 1);
    this.#path.pop();
    return value;
  }

  #readKey(node: Node | null, object: JsonObject): string | undefined {
    // That other keys are no text has been reported by the parser.
    if (!isScalar(node)) return undefined;
    this.#remember(node);
    const key = String(node.value ?? '');
    if (key === '<<' && node.type === Scalar.PLAIN) {
      this.isWhole = false;
      this.#report('BLW_DOC_SYNTAX', node, 'merge keys (<<) are no part of YAML 1.2; write the keys out');
      return undefined;
    }
    if (!Object.hasOwn(object, key)) return key;
    this.#report('BLW_DOC_SYNTAX', node, `"${shortText(key)}" is there already; keys of one object must differ`);
    return undefined;
  }

  #readScalar(node: Scalar): Json {
    const { value } = node;
    if (typeof value !== 'number') return value as Json;
    const source = node.source ?? '';
    if (!Number.isFinite(value)) {
      this.#report('BLW_VALUE_INVALID', node, `JSON has no number such as ${shortText(source)}`);
    } else if (!this.roundsNumbers && !Number.isSafeInteger(value) && INTEGER.test(source)) {
      const advice = 'has more digits than a JSON number keeps (2^53); write it in quotes';
      this.#report('BLW_VALUE_INVALID', node, `${shortText(source)} ${advice}`);
    }
    if (!this.roundsNumbers && LEADING_ZERO.test(source)) {
      const message = `${shortText(source)} is the number ${value} in YAML; write it in quotes to keep its zeros, or without them`;
      this.#report('BLW_VALUE_INVALID', node, message);
    }
    // JSON text has no -0.
    return value === 0 ? 0 : value;
  }

  #readAlias(name: string, node: Node, depth: number): Json {
    const target = this.#anchors.get(name);
    if (target === undefined || this.#open.has(target)) this.isWhole = false;
    if (target === undefined) {
      this.#report('BLW_DOC_SYNTAX', node, `*${shortText(name)}: there is no anchor &${shortText(name)} before it`);
      return null;
    }
    if (this.#open.has(target)) {
      this.#report('BLW_DOC_SYNTAX', node, `*${shortText(name)} stands inside of what it stands for`);
      return null;
    }
    this.#aliases += 1;
    const value = this.#read(target, depth);
    this.#aliases -= 1;
    return value;
  }

  #remember(node: Node & { anchor?: string }): void {
    if (node.anchor !== undefined && this.#aliases === 0) this.#anchors.set(node.anchor, node);
  }

  #tooLarge(node: Node | null, reason: string): DocumentTooLarge {
    this.problems.length = 0;
    this.isWhole = false;
    this.#path.length = 0;
    this.#aliases = 0;
    this.#report('BLW_DOC_TOO_LARGE', node, `the document is too large: ${reason}`);
    return new DocumentTooLarge();
  }

  #report(code: Problem['code'], node: Node | null, message: string): void {
    if (this.#aliases > 0 || this.problems.length >= MAX_PROBLEMS) return;
    this.problems.push({ code, path: [...this.#path], message, position: this.position(node?.range?.[0] ?? 0) });
  }
}
