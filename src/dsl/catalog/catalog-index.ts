import { isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, formatProblem, type Problem, shortText } from '../problems';
import { catalogFolder } from './catalog-folder';
import type { FlowLibrary, FoundFlow, FoundFunction, FunctionLookup, NotFound } from './library';
import { type FlowReference, formatFlowReference, LATEST } from './references';
import { compareVersions, isPreRelease, SEMANTIC_VERSION } from './semantic-version';

/** A file of a catalog that has been read. */
export interface CatalogFile {
  /** Below the catalog's folder, with `/`. */
  readonly path: string;
  /** Absent where it could not be read, which `problems` explains. */
  readonly value?: Json;
  readonly problems: readonly Problem[];
}

const FUNCTION_FILE = /^(?:(.*)\/)?functions\/([^/]+)\/([^/]+)\/function\.(?:yaml|yml|json)$/;

/** Beside a `function.yaml` there may be whatever it needs (OWS dsl, "Creating a Custom Function"). */
const IN_FUNCTION_FOLDER = /(?:^|\/)functions\/[^/]+\/[^/]+\//;

const MAX_VERSIONS_SHOWN = 10;

/** Finds flows by what their documents say, and functions by where they lie (OWS dsl, "Catalogs"). */
export class CatalogIndex implements FlowLibrary {
  /** Problems of files, by path; the other files are not affected by them. */
  readonly problems: readonly { readonly path: string; readonly problem: Problem }[];
  readonly #flows = new Map<string, Map<string, FoundFlow[]>>();
  readonly #functions = new Map<string, FoundFunction[]>();

  /** `folders` are the absolute paths under which the catalog may be named by a `file:` URL. */
  constructor(
    files: readonly CatalogFile[],
    private readonly folders: readonly string[],
  ) {
    this.problems = files.flatMap((file) => this.#add(file).map((problem) => ({ path: file.path, problem })));
  }

  /** Every flow, in the order of name and version. */
  flows(): FoundFlow[] {
    const found = [...this.#flows.values()].flatMap((versions) => [...versions.values()].flat());
    return found.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Every function, in the order of its file. */
  functions(): FoundFunction[] {
    return [...this.#functions.values()].flat().sort((left, right) => (left.source < right.source ? -1 : 1));
  }

  findFlow(reference: FlowReference): FoundFlow | NotFound {
    const versions = this.#flows.get(`${reference.namespace}/${reference.name}`);
    if (versions === undefined) return this.#unknownFlow(reference);
    const version = reference.version === LATEST ? highest([...versions.keys()]) : reference.version;
    const found = version === undefined ? undefined : versions.get(version);
    if (found === undefined) return this.#unknownVersion(reference, [...versions.keys()]);
    return only(found, formatFlowReference({ ...reference, version: version ?? '' }));
  }

  findFunction({ name, version, endpoint }: FunctionLookup): FoundFunction | NotFound {
    const folder = endpoint === undefined ? { path: '' } : catalogFolder(endpoint, this.folders);
    if ('code' in folder) return folder;
    const found = this.#functions.get(functionKey(folder.path, name, version));
    return found === undefined ? this.#unknownFunction(folder.path, name, version) : only(found, `${name}:${version}`);
  }

  #add({ path, value, problems }: CatalogFile): readonly Problem[] {
    const location = FUNCTION_FILE.exec(path);
    if (location === null && IN_FUNCTION_FOLDER.test(path)) return [];
    if (value === undefined) return problems;
    if (location !== null) return this.#addFunction(path, value, location);
    const name = flowNameOf(value);
    if (name === undefined) return [NOT_A_FLOW];
    const flow: FoundFlow = { name: formatFlowReference(name), source: path, document: value as JsonObject };
    const versions = entry(this.#flows, `${name.namespace}/${name.name}`, () => new Map<string, FoundFlow[]>());
    const same = entry(versions, name.version, () => []);
    same.push(flow);
    return same.length > 1 ? [duplicate(flow.name, same)] : [];
  }

  #addFunction(path: string, value: Json, [, folder = '', name = '', version = '']: RegExpExecArray): Problem[] {
    if (!SEMANTIC_VERSION.test(version)) {
      return [problem(`the folder of the version is called "${version}", expected a semantic version such as 1.0.0`)];
    }
    if (!isJsonObject(value)) return [problem('expected the definition of a function: a task such as { call, with }')];
    const same = entry(this.#functions, functionKey(folder, name, version), () => []);
    same.push({ source: path, definition: value });
    return same.length > 1 ? [duplicate(`${name}:${version}`, same)] : [];
  }

  #unknownFlow({ namespace, name }: FlowReference): NotFound {
    const wanted = `${namespace}/${name}`;
    const known = [...this.#flows.keys()];
    const meant = closestName(wanted, known);
    const advice =
      meant === undefined ? `it has ${known.length} flow${known.length === 1 ? '' : 's'}` : `did you mean "${meant}"?`;
    return {
      code: 'BLW_FLOW_UNKNOWN',
      message: `the catalog has no flow "${wanted}"; ${advice}${this.#unreadable()}`,
    };
  }

  #unknownVersion({ namespace, name, version }: FlowReference, versions: readonly string[]): NotFound {
    const what = version === LATEST ? 'no release, only pre-releases' : `no version "${version}"`;
    const message = `the catalog has ${what} of the flow "${namespace}/${name}"; there are: ${listVersions(versions)}`;
    return { code: 'BLW_FLOW_UNKNOWN', message: message + this.#unreadable() };
  }

  #unknownFunction(folder: string, name: string, version: string): NotFound {
    const versionsOf = (wanted: string) => keysBelow(this.#functions.keys(), `${prefix(folder)}functions/${wanted}/`);
    const names = [...this.#functions.values()].flat().flatMap(({ source }) => {
      const [, where = '', known = ''] = FUNCTION_FILE.exec(source) ?? [];
      return where === folder ? [known] : [];
    });
    const versions = versionsOf(name);
    const meant = closestName(name, names);
    const advice =
      versions.length > 0
        ? `there are: ${listVersions(versions)}`
        : meant === undefined
          ? `expected the file ${prefix(folder)}functions/${name}/${version}/function.yaml`
          : `did you mean "${meant}"?`;
    const message = `the catalog has no function "${shortText(name)}:${version}"; ${advice}${this.#unreadable()}`;
    return { code: 'BLW_FUNCTION_UNKNOWN', message };
  }

  /** What is asked for may stand in a file that cannot be read. */
  #unreadable(): string {
    const [first] = this.problems;
    if (first === undefined) return '';
    const more = this.problems.length === 1 ? '' : ` and ${this.problems.length - 1} more`;
    return ` (the catalog has problems: ${formatProblem(first.problem, first.path)}${more})`;
  }
}

/** Namespace, name and version that a document gives itself; undefined where it is no flow. */
function flowNameOf(value: Json): FlowReference | undefined {
  const header = isJsonObject(value) ? value.document : undefined;
  if (!isJsonObject(header)) return undefined;
  const { namespace, name, version } = header;
  if (typeof namespace !== 'string' || typeof name !== 'string' || typeof version !== 'string') return undefined;
  return { namespace, name, version };
}

const NOT_A_FLOW = problem(
  'it is no flow: document.namespace, name and version are missing; a catalog has flows, and functions in functions/<name>/<version>/function.yaml',
);

function problem(message: string): Problem {
  return { code: 'BLW_CATALOG_INVALID', path: [], message };
}

function duplicate(name: string, same: readonly { readonly source: string }[]): Problem {
  return problem(`"${name}" is in ${same.map(({ source }) => source).join(' and in ')}; change the version of one`);
}

/** The one that there is; several under one name are an error, since nobody could tell which one runs. */
function only<T extends { readonly source: string }>(found: readonly T[], name: string): T | NotFound {
  const [first, second] = found;
  if (first !== undefined && second === undefined) return first;
  return { code: 'BLW_CATALOG_INVALID', message: duplicate(name, found).message };
}

function highest(versions: readonly string[]): string | undefined {
  return versions
    .filter((version) => !isPreRelease(version))
    .sort(compareVersions)
    .at(-1);
}

function listVersions(versions: readonly string[]): string {
  const newest = [...versions].sort(compareVersions).reverse();
  const more = newest.length > MAX_VERSIONS_SHOWN ? `, and ${newest.length - MAX_VERSIONS_SHOWN} more` : '';
  return newest.slice(0, MAX_VERSIONS_SHOWN).join(', ') + more;
}

function functionKey(folder: string, name: string, version: string): string {
  return `${prefix(folder)}functions/${name}/${version}`;
}

function prefix(folder: string): string {
  return folder === '' ? '' : `${folder}/`;
}

function keysBelow(keys: Iterable<string>, start: string): string[] {
  return [...keys].filter((key) => key.startsWith(start)).map((key) => key.slice(start.length));
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const value = map.get(key) ?? make();
  map.set(key, value);
  return value;
}
