import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Ajv2020, { type ErrorObject, type ValidateFunction } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { parse } from 'yaml';
import { BLOCK_SPECS } from '../../src/dsl/block-registry';
import { parseDocumentText } from '../../src/dsl/document';
import { isJsonObject, type Json, type JsonObject } from '../../src/dsl/json';
import { createFlowSchema } from '../../src/dsl/schema/flow-schema';
import { checkArguments } from '../../src/dsl/validation/check-call';
import { METADATA_KEYS } from '../../src/dsl/validation/check-metadata';
import { BASE_KEYS, TASK_KINDS } from '../../src/dsl/validation/check-task';
import { validateFlow } from '../../src/dsl/validation/validate-flow';
import { SPECIFICATION_SCHEMA } from '../../src/worker/package-files';
import { documentOf } from './parsed-text';

const ROOT = join(__dirname, '../..');
const OWS_EXAMPLES = join(ROOT, '../shared/ows/examples');

const schema = createFlowSchema(documentOf(readFileSync(SPECIFICATION_SCHEMA, 'utf8')).value as JsonObject);
const definitions = schema.$defs as { [name: string]: JsonObject };

/** As editors do: unknown keywords are theirs, formats are checked. */
function compile(): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  return ajv.compile(schema);
}

const check = compile();

function errorsOf(flow: Json): readonly ErrorObject[] {
  return check(flow) ? [] : (check.errors ?? []);
}

function flowsIn(folder: string): string[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.filter((file) => /\.ya?ml$/.test(file)).map((file) => join(folder, file));
}

function valueIn(file: string): Json {
  return documentOf(readFileSync(file, 'utf8')).value;
}

/** A flow in CEL around tasks that are YAML text. */
function flowOf(tasks: string, more = ''): JsonObject {
  const header =
    "document: { dsl: '1.0.3', namespace: test, name: test, version: '1.0.0' }\nevaluate: { language: cel }\n";
  return { ...(parse(header) as JsonObject), ...((parse(more) ?? {}) as JsonObject), do: parse(tasks) as Json };
}

/** `path key` of each error, without those that say why one of several choices was not taken, or only that none was. */
function placesOf(errors: readonly ErrorObject[]): string[] {
  const places = errors
    .filter(({ keyword, schemaPath }) => keyword !== 'if' && !/\/(?:anyOf|oneOf)\/\d+\//.test(schemaPath))
    .map(({ instancePath, params }) => {
      const { additionalProperty, missingProperty } = params as { [name: string]: string | undefined };
      return [instancePath, additionalProperty ?? missingProperty].filter((part) => part !== undefined).join(' ');
    });
  return [...new Set(places)];
}

describe('the schema for editors', () => {
  it('is a JSON Schema of draft 2020-12', () => {
    expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
    expect(new Ajv2020({ strict: false }).validateSchema(schema)).toBe(true);
  });

  it('refers to nothing outside, and defines nothing that is not used', () => {
    const references = [...JSON.stringify(schema).matchAll(/"\$ref":"([^"]*)"/g)].map(
      ([, reference = '']) => reference,
    );
    expect([...new Set(references)].sort()).toEqual(
      Object.keys(definitions)
        .map((name) => `#/$defs/${name}`)
        .sort(),
    );
  });

  it('is made of keywords that older editors know too', () => {
    const text = JSON.stringify(schema);
    for (const keyword of ['unevaluatedProperties', 'unevaluatedItems', '$dynamicRef', 'dependentSchemas']) {
      expect({ keyword, isUsed: text.includes(`"${keyword}":`) }).toEqual({ keyword, isUsed: false });
    }
  });

  it('knows the kinds of task, and the keys of each, that the validator knows', () => {
    for (const [kind, { required = [], optional = [] }] of Object.entries(TASK_KINDS)) {
      const properties = Object.keys(definitions[`${kind}Task`]?.properties ?? {});
      expect({ kind, keys: properties.sort() }).toEqual({
        kind,
        keys: [...required, ...optional, ...BASE_KEYS].sort(),
      });
    }
  });

  it('explains every block, every argument and every key of metadata', () => {
    const { properties } = definitions.callTask as { properties: { call: { anyOf: JsonObject[] } } };
    const [call] = properties.call.anyOf;
    expect(call?.enum).toEqual(BLOCK_SPECS.map((spec) => spec.call));
    expect(call?.enumDescriptions).toEqual(BLOCK_SPECS.map((spec) => spec.summary));
    for (const { call: name, arguments: args } of BLOCK_SPECS) {
      const known = Object.values(definitions).find((found) =>
        String(found.description).startsWith(`Arguments of ${name}:`),
      );
      expect(Object.keys(known?.properties ?? {})).toEqual(Object.keys(args.properties as JsonObject));
      for (const property of Object.values(known?.properties ?? {}))
        expect(explained(property as JsonObject)).toBe(true);
    }
    for (const name of ['callMetadata', 'forMetadata', 'otherMetadata', 'documentMetadata']) {
      const properties = definitions[name]?.properties as JsonObject;
      expect(Object.keys(properties)).toEqual(expect.arrayContaining([...METADATA_KEYS]));
      for (const property of Object.values(properties)) expect(explained(property as JsonObject)).toBe(true);
    }
  });

  it.each(ourFlows())('accepts our %s', (_name, flow) => {
    expect(validateFlow(flow).problems).toEqual([]);
    expect(errorsOf(flow)).toEqual([]);
  });

  const theirs = flowsIn(OWS_EXAMPLES).filter((file) => validateFlow(valueIn(file)).flow !== undefined);
  (theirs.length > 0 ? it : it.skip)("accepts the specification's examples that are valid here", () => {
    expect(theirs.length).toBeGreaterThan(35);
    const wrong = theirs
      .map((file) => [basename(file), errorsOf(valueIn(file))])
      .filter(([, errors]) => errors?.length);
    expect(wrong).toEqual([]);
  });

  it.each(documentedTasks())('accepts what the documentation shows: %s', (_where, flow) => {
    expect(errorsOf(flow)).toEqual([]);
  });
});

/** Those of the examples, and those that are replayed, each with its input under another key. */
function ourFlows(): [string, Json][] {
  const replayed = flowsIn(join(ROOT, 'test/replay/flows')).map((file): [string, Json] => {
    const { flow = null } = valueIn(file) as JsonObject;
    return [basename(file), flow];
  });
  const examples = flowsIn(join(ROOT, 'examples')).map((file): [string, Json] => [basename(file), valueIn(file)]);
  // Beside the flows there is a policy.
  return [...examples, ...replayed].filter(([, flow]) => isJsonObject(flow) && flow.document !== undefined);
}

function explained(property: JsonObject): boolean {
  const { $ref: reference, description } = property;
  if (typeof reference !== 'string') return typeof description === 'string' && description !== '';
  return description !== undefined || explained(definitions[reference.replace('#/$defs/', '')] ?? {});
}

/** Every YAML of the documentation that is a flow or a list of tasks; test/docs sees to it that they are valid. */
function documentedTasks(): [string, Json][] {
  const files = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.md'),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(ROOT, 'docs', file), 'utf8');
    return [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].flatMap(([, yaml = ''], index): [string, Json][] => {
      const value = parse(yaml) as Json;
      if (Array.isArray(value)) return [[`${file} ${index}`, flowOf(yaml)]];
      return isJsonObject(value) && value.document !== undefined ? [[`${file} ${index}`, value]] : [];
    });
  });
}

const MISTAKES: readonly (readonly [what: string, tasks: string, places: readonly string[]])[] = [
  [
    'url for endpoint',
    '- a: { call: http, with: { method: get, url: https://x.test } }',
    ['/do/0/a/with endpoint', '/do/0/a/with url'],
  ],
  ['an unknown argument', '- a: { call: fs.put, with: { path: a, contents: b } }', ['/do/0/a/with contents']],
  ['no arguments', '- a: { call: fs.put }', ['/do/0/a with']],
  ['a missing argument', '- a: { call: sql.query, with: { database: a } }', ['/do/0/a/with statement']],
  ['a wrong type', '- a: { call: fs.list, with: { limit: many } }', ['/do/0/a/with/limit']],
  ['a number beyond its limit', '- a: { call: fs.list, with: { limit: 5000 } }', ['/do/0/a/with/limit']],
  [
    'a word that is none of the choices',
    '- a: { call: http, with: { method: fetch, endpoint: https://x.test } }',
    ['/do/0/a/with/method'],
  ],
  [
    'an expression inside of a URL',
    "- a: { call: http, with: { method: get, endpoint: 'https://x.test/${ data.id }' } }",
    ['/do/0/a/with/endpoint'],
  ],
  [
    'a relative URL',
    '- a: { call: http, with: { method: get, endpoint: { uri: /orders } } }',
    ['/do/0/a/with/endpoint/uri'],
  ],
  [
    'an unknown scheme',
    '- a: { call: http, with: { method: get, endpoint: { uri: https://x.test, authentication: { basik: {} } } } }',
    ['/do/0/a/with/endpoint/authentication basik'],
  ],
  [
    'half of the credentials',
    '- a: { call: http, with: { method: get, endpoint: { uri: https://x.test, authentication: { basic: { username: a } } } } }',
    ['/do/0/a/with/endpoint/authentication/basic password'],
  ],
  ['a call that is not supported', '- a: { call: grpc, with: {} }', ['/do/0/a/call']],
  ['a function by URL', '- a: { call: https://x.test/function.yaml }', ['/do/0/a/call']],
  ['a container', '- a: { run: { container: { image: a } } }', ['/do/0/a/run', '/do/0/a/run/container']],
  [
    'a process with a result',
    "- a: { run: { workflow: { namespace: a, name: b, version: '1.0.0' }, return: all } }",
    ['/do/0/a/run/return'],
  ],
  ['a key of another kind', '- a: { set: { a: 1 }, while: data.a }', ['/do/0/a while']],
  ['two kinds', '- a: { set: { a: 1 }, wait: PT1S }', ['/do/0/a set', '/do/0/a wait']],
  ['a try without catch', '- a: { try: [{ b: { set: { a: 1 } } }] }', ['/do/0/a catch']],
  ['a slip in a key', '- a: { set: { a: 1 }, iff: data.a }', ['/do/0/a iff']],
  ['years', '- a: { wait: P1Y }', ['/do/0/a/wait']],
  ['a unit that is none', '- a: { wait: { weeks: 1 } }', ['/do/0/a/wait weeks']],
  ['an empty list', '- a: { do: [] }', ['/do/0/a/do']],
  ['two names in one item', '- a: { set: { a: 1 } }\n  b: { set: { a: 1 } }', ['/do/0']],
  [
    'two backoffs',
    '- a: { try: [{ b: { set: { a: 1 } } }], catch: { retry: { backoff: { linear: {}, constant: {} } } } }',
    ['/do/0/a/catch/retry/backoff'],
  ],
  ['an error without a status', '- a: { raise: { error: { type: https://x.test } } }', ['/do/0/a/raise/error status']],
  [
    'two strategies',
    '- a: { listen: { to: { one: { with: { type: a } }, all: [{ with: { type: a } }] } } }',
    ['/do/0/a/listen/to'],
  ],
  [
    'a schema by reference',
    '- a: { set: { a: 1 }, input: { schema: { resource: { endpoint: https://x.test } } } }',
    ['/do/0/a/input/schema document', '/do/0/a/input/schema/resource'],
  ],
  ['a pool that is none', '- a: { call: fs.list, metadata: { resources: disk } }', ['/do/0/a/metadata/resources']],
  [
    'a priority beyond its limit',
    '- a: { call: fs.list, metadata: { priorityKey: 9 } }',
    ['/do/0/a/metadata/priorityKey'],
  ],
  [
    'an unknown part of a retry policy',
    '- a: { call: fs.list, metadata: { retry: { attempts: 3 } } }',
    ['/do/0/a/metadata/retry attempts'],
  ],
  [
    'an expression where metadata has a duration',
    "- a: { call: fs.list, metadata: { timeout: '${ data.t }' } }",
    ['/do/0/a/metadata/timeout'],
  ],
  [
    'metadata of a loop at a call',
    '- a: { call: fs.list, metadata: { concurrency: 3 } }',
    ['/do/0/a/metadata/concurrency'],
  ],
  [
    'metadata of a call at a group',
    '- a: { do: [{ b: { set: { a: 1 } } }], metadata: { cache: {} } }',
    ['/do/0/a/metadata/cache'],
  ],
  [
    'metadata of a block at a function',
    '- a: { call: mine, metadata: { timeout: PT1S } }',
    ['/do/0/a/metadata/timeout'],
  ],
  [
    'a way to dispatch that there is not',
    '- a: { call: fs.list, metadata: { dispatch: remote } }',
    ['/do/0/a/metadata/dispatch'],
  ],
  [
    'a mistake in what undoes a step',
    '- a: { set: { a: 1 }, metadata: { compensate: [{ b: { call: fs.delete, with: { file: a } } }] } }',
    ['/do/0/a/metadata/compensate/0/b/with path', '/do/0/a/metadata/compensate/0/b/with file'],
  ],
];

describe('the schema for editors rejects, where it is,', () => {
  it.each(MISTAKES)('%s', (_what, tasks, places) => {
    const flow = flowOf(tasks);
    expect(placesOf(errorsOf(flow)).sort()).toEqual([...places].sort());
    // What the editor marks is a mistake, and no opinion of the schema.
    const definitions = 'use: { functions: { mine: { set: { a: 1 } } } }';
    expect(validateFlow(flowOf(tasks, definitions)).problems).not.toEqual([]);
  });

  it.each([
    ['another language', 'evaluate: { language: python }', '/evaluate/language'],
    ['loose expressions', 'evaluate: { mode: loose }', '/evaluate/mode'],
    ['extensions', 'use: { extensions: [] }', '/use/extensions'],
    ['an unknown key', 'steps: []', ' steps'],
    [
      'another version of the specification',
      "document: { dsl: '2.0.0', namespace: a, name: b, version: '1.0.0' }",
      '/document/dsl',
    ],
    ['an interval that is an expression', "schedule: { every: '${ data.x }' }", '/schedule/every'],
    [
      "defaults that are a step's own",
      "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: { cache: {} } }",
      '/document/metadata/cache',
    ],
    [
      'an unknown overlap',
      "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0', metadata: { schedule: { overlap: both } } }",
      '/document/metadata/schedule/overlap',
    ],
    [
      'a policy that refers to another one',
      'use: { authentications: { a: { use: b } } }',
      '/use/authentications/a use',
    ],
  ])('%s', (_what, more, place) => {
    const flow = flowOf("- a: { set: '${ 1 }' }", more);
    expect(placesOf(errorsOf(flow))).toContain(place);
    expect(validateFlow(flow).problems).not.toEqual([]);
  });

  it('nothing of what may be an expression', () => {
    const flow = flowOf(`
- list: { call: fs.list, with: { limit: '\${ data.limit }', prefix: 'orders/\${ data.day }/' } }
- ask:
    call: http
    with: { method: '\${ data.method }', endpoint: '\${ data.base + "/orders" }', headers: '\${ data.headers }', redirect: '\${ data.redirect }' }
- tell: { call: http, with: { method: get, endpoint: { uri: '\${ data.uri }', authentication: { bearer: { token: '\${ data.token }' } } } } }
- many: { call: sql.transaction, with: { database: shop, statements: [{ statement: SELECT :a, parameters: '\${ data.values }' }] } }
- approve: { call: human.approval, with: { title: '\${ data.title }', timeout: '\${ data.timeout }', requiredApprovals: '\${ data.count }' } }
- wait: { wait: '\${ data.delay }' }
- fail: { raise: { error: { type: https://x.test/a, status: '\${ data.status }' } } }
`);
    expect(validateFlow(flow).problems).toEqual([]);
    expect(errorsOf(flow)).toEqual([]);
  });

  it('no call of a function', () => {
    const more = 'use: { functions: { mine: { set: { a: 1 } } }, catalogs: { ours: { endpoint: functions } } }';
    const flow = flowOf(
      "- a: { call: mine, with: { any: 1 } }\n- b: { call: 'log:1.0.0@ours', with: { any: 1 } }",
      more,
    );
    expect(validateFlow(flow).problems).toEqual([]);
    expect(errorsOf(flow)).toEqual([]);
  });

  it('no metadata of the author', () => {
    const flow = flowOf('- a: { call: fs.list, metadata: { owner: { team: shop }, ticket: 17 } }');
    expect(validateFlow(flow).problems).toEqual([]);
    expect(errorsOf(flow)).toEqual([]);
  });
});

/** Every object of a block's arguments that takes no other keys: its path under `with`. */
function closedObjects(args: JsonObject, path: readonly string[] = []): (readonly string[])[] {
  const own = args.additionalProperties === false ? [path] : [];
  const below = Object.entries(isJsonObject(args.properties) ? args.properties : {}).flatMap(([name, part]) =>
    closedObjects(part as JsonObject, [...path, name]),
  );
  return [...own, ...below];
}

/** A value with one key more in the object at the path. */
function withKey(path: readonly string[], key: string): JsonObject {
  const [first, ...rest] = path;
  return first === undefined ? { [key]: 1 } : { [first]: withKey(rest, key) };
}

test('every unknown key that the arguments of a block refuse is refused by the schema', () => {
  const sites = BLOCK_SPECS.flatMap((spec) => closedObjects(spec.arguments).map((path) => ({ spec, path })));
  expect(sites.length).toBeGreaterThan(30);
  const key = fc.oneof(
    fc.stringMatching(/^[a-z][A-Za-z]{0,11}$/),
    fc.constantFrom('url', 'contents', 'body', 'path', 'use'),
  );
  fc.assert(
    fc.property(fc.constantFrom(...sites), key, ({ spec, path }, name) => {
      const args = withKey(path, name);
      const isUnknown = checkArguments(spec, args).some((violation) => violation.key === name);
      // The name of a policy or a secret stands in place of what the block gets.
      fc.pre(isUnknown && !(name === 'use' && path.includes('authentication')));
      const pointer = ['', 'do', '0', 'a', 'with', ...path].join('/');
      const places = placesOf(errorsOf(flowOf(JSON.stringify([{ a: { call: spec.call, with: args } }]))));
      expect(places).toContain(`${pointer} ${name}`);
    }),
    { numRuns: 500 },
  );
});

test('the specification that comes with the package is the one that the tests of the validator use', () => {
  const own = join(ROOT, '../shared/ows/schema/workflow.yaml');
  if (!existsSync(own)) return;
  const copy = readFileSync(SPECIFICATION_SCHEMA, 'utf8');
  expect(copy.slice(copy.indexOf('$id:'))).toBe(readFileSync(own, 'utf8'));
  expect(parseDocumentText(copy)).toHaveProperty('document');
});
