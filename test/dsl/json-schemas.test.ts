import fc from 'fast-check';
import type { Json } from '../../src/dsl/json';
import { compileSchema, InvalidSchemaError } from '../../src/dsl/validation/json-schemas';

const DRAFT_7 = 'http://json-schema.org/draft-07/schema#';
const DRAFT_2020_12 = 'https://json-schema.org/draft/2020-12/schema';

/** `path: message` of each violation. */
function violationsOf(schema: Json, data: Json): string[] {
  return compileSchema(schema)(data).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('violations', () => {
  it.each<[string, Json, Json, string]>([
    ['a type', { type: 'string' }, 5, ': got a number, expected string'],
    ['types', { type: ['string', 'null'] }, [], ': got an array, expected string or null'],
    ['null', { type: 'object' }, null, ': got null, expected object'],
    ['a missing key', { required: ['a'] }, {}, ': "a" is missing'],
    [
      'an unknown key',
      { properties: { name: {} }, additionalProperties: false },
      { nmae: 1 },
      ': "nmae" is not known; did you mean "name"?',
    ],
    ['any key', { additionalProperties: false }, { a: 1 }, ': "a" is not known; there are: none'],
    ['an unevaluated key', { properties: { a: {} }, unevaluatedProperties: false }, { b: 1 }, ': "b" is not known'],
    ['an enum', { enum: ['a', 1] }, 'b', ': got "b", expected one of "a", 1'],
    ['a constant', { const: { a: 1 } }, 'b', ': got "b", expected {"a":1}'],
    ['a pattern', { pattern: '^a' }, 'b', ': got "b", expected text that matches ^a'],
    ['a format', { format: 'email' }, 'b', ': got "b", expected text of the format email'],
    ['a range', { minimum: 5 }, 4, ': got 4, expected at least 5'],
    [
      'a deep one',
      { properties: { 'a/b': { items: { type: 'integer' } } } },
      { 'a/b': [1, 'x'] },
      'a/b.1: got a string, expected integer',
    ],
    ['an item of a tuple (2020-12)', { prefixItems: [{ type: 'string' }] }, [1], '0: got a number, expected string'],
    [
      'an item of a tuple (draft 7)',
      { $schema: DRAFT_7, items: [{ type: 'string' }] },
      [1],
      '0: got a number, expected string',
    ],
    [
      'a definition (2020-12)',
      { $schema: DRAFT_2020_12, $ref: '#/$defs/x', $defs: { x: { type: 'integer' } } },
      'a',
      ': got a string, expected integer',
    ],
    [
      'a definition (draft 7)',
      { $schema: DRAFT_7, $ref: '#/definitions/x', definitions: { x: { type: 'integer' } } },
      'a',
      ': got a string, expected integer',
    ],
    [
      'an anchor',
      { $ref: '#x', $defs: { x: { $anchor: 'x', type: 'integer' } } },
      'a',
      ': got a string, expected integer',
    ],
    [
      'a tree',
      { properties: { next: { $ref: '#' } }, additionalProperties: false },
      { next: { next: { nxet: 1 } } },
      'next.next: "nxet" is not known',
    ],
    ['no value', false, 1, ': got 1, expected nothing here'],
    ['a long value', { type: 'object', minProperties: 99 }, { a: 'x'.repeat(500) }, 'xxx…, expected at least 99 keys'],
    ['a length', { minLength: 1 }, '', ': got "", expected at least 1 character'],
    ['a number of items', { maxItems: 2 }, [1, 2, 3], ': got [1,2,3], expected at most 2 items'],
    ['a part of a range', { exclusiveMaximum: 5 }, 5, ': got 5, expected less than 5'],
    ['multiples', { multipleOf: 2 }, 3, ': got 3, expected a multiple of 2'],
    [
      'items that are the same',
      { uniqueItems: true },
      [1, 2, 1],
      ': items 0 and 2 are the same, expected each of them once',
    ],
    [
      'items that have to be there',
      { contains: { const: 1 } },
      [2],
      ': got [2], expected at least 1 item as under "contains"',
    ],
    [
      'so many of them',
      { contains: { const: 1 }, minContains: 2, maxContains: 3 },
      [1],
      ': got [1], expected 2 to 3 items as under "contains"',
    ],
    [
      'a key that needs another',
      { dependentRequired: { a: ['b'] } },
      { a: 1 },
      ': "b" is missing, expected beside "a"',
    ],
    ['names of keys', { propertyNames: { maxLength: 1 } }, { ab: 1 }, ': "ab" cannot be a key here'],
    ['alternatives', { anyOf: [{ const: 1 }] }, 2, ': got 2, expected what one of the schemas under "anyOf" says'],
    ['one alternative', { oneOf: [{ const: 1 }] }, 2, ': got 2, expected what one of the schemas under "oneOf" says'],
    [
      'more than one alternative',
      { oneOf: [true, { const: 1 }, true] },
      2,
      ': got 2, expected what only one of the schemas under "oneOf" says, and 0 and 2 match',
    ],
    ['what must not be', { not: { const: 1 } }, 1, ': got 1, expected anything but what "not" says'],
    ['a condition', { if: false, else: { minimum: 5 } }, 1, ': got 1, expected what "else" says'],
  ])('tell about %s', (_what, schema, data, expected) => {
    expect(violationsOf(schema, data)).toContainEqual(expect.stringContaining(expected));
  });

  it.each<[string, Json, Json]>([
    ['anything', {}, null],
    ['true', true, { a: 1 }],
    ['unknown keywords', { requird: ['a'], 'x-note': 1 }, {}],
    ['unknown formats', { format: 'order-number' }, 'x'],
    ['unknown keys by default', { properties: { a: {} } }, { b: 1 }],
    ['keys of the prototype that are not there', { properties: { constructor: { type: 'object' } } }, {}],
    [
      'keys of the prototype that are there',
      { required: ['constructor'], properties: { constructor: { type: 'string' } } },
      { constructor: 'a' },
    ],
  ])('are none for %s', (_what, schema, data) => {
    expect(violationsOf(schema, data)).toEqual([]);
  });

  it('name the offending key', () => {
    expect(compileSchema({ additionalProperties: false })({ 'a/b': 1 })).toMatchObject([{ path: [], key: 'a/b' }]);
    expect(compileSchema({ required: ['a'] })({})).toEqual([{ path: [], message: '"a" is missing', missing: 'a' }]);
  });

  it('do not inherit what is required from the prototype', () => {
    expect(violationsOf({ required: ['constructor', 'toString'] }, {})).toEqual([
      ': "constructor" is missing',
      ': "toString" is missing',
    ]);
  });

  it('are bounded', () => {
    expect(violationsOf({ items: { type: 'string' } }, Array(10_000).fill(1))).toHaveLength(50);
  });

  it('say so where objects cannot be compared', () => {
    const items = [{ valueOf: 1 }, { valueOf: 2 }];
    expect(violationsOf({ uniqueItems: true }, items)).toEqual([expect.stringContaining('cannot be compared')]);
  });

  it('end where a schema or the data has no end', () => {
    let data: Json = {};
    for (let depth = 0; depth < 20_000; depth += 1) data = { next: data };
    expect(violationsOf({ $ref: '#' }, 1)).toEqual([
      ': the schema refers to itself without an end, or the value is nested too deeply for it',
    ]);
    expect(violationsOf({ properties: { next: { $ref: '#' } } }, data)).toEqual([
      expect.stringContaining('nested too deeply'),
    ]);
  });
});

describe('schemas that are none', () => {
  const failureOf = (schema: Json): InvalidSchemaError => {
    try {
      compileSchema(schema);
    } catch (error) {
      if (error instanceof InvalidSchemaError) return error;
      throw error;
    }
    throw new Error('it was taken');
  };

  it.each<[Json, string, string]>([
    [null, '', 'got null, expected a JSON Schema (an object)'],
    ['string', '', 'got a string, expected a JSON Schema'],
    [[], '', 'got an array, expected a JSON Schema'],
    [{ type: 'strin' }, 'type', 'type: got "strin", expected one of "array", "boolean"'],
    [{ properties: { a: { type: 'x' } } }, 'properties.a.type', 'properties.a.type: got "x"'],
    [{ properties: 5 }, 'properties', 'properties: got a number, expected object'],
    [{ required: 'a' }, 'required', 'required: got a string, expected array'],
    [{ minimum: '1' }, 'minimum', 'minimum: got a string, expected number'],
    [{ maxLength: -1 }, 'maxLength', 'maxLength: got -1, expected at least 0'],
    [{ pattern: '(' }, '', 'error parsing regexp: missing closing )'],
    [{ patternProperties: { '[': {} } }, '', 'error parsing regexp: missing closing ]'],
    [{ items: [{}] }, 'items', 'items: got an array, expected object or boolean'],
    [{ $ref: '#/$defs/x' }, '', '$ref #/$defs/x is not in the schema'],
    [
      { $ref: 'https://example.com/schema.json' },
      '',
      '$ref https://example.com/schema.json is not in the schema; nothing is fetched',
    ],
    [{ $ref: 'file:///etc/passwd' }, '', '$ref file:///etc/passwd is not in the schema'],
    [{ $ref: DRAFT_2020_12 }, '', 'is not in the schema; nothing is fetched'],
    [{ $schema: 'http://json-schema.org/draft-04/schema#' }, '$schema', 'drafts 7 and 2020-12 are understood'],
    [{ $schema: 'https://example.com/draft-07' }, '$schema', 'drafts 7 and 2020-12 are understood'],
    [{ $schema: 7 }, '$schema', '$schema: got 7'],
    [{ $async: true, type: 'string' }, '$async', '$async is not a keyword of JSON Schema'],
    [{ properties: { a: { $async: true, type: 'string' } } }, '', 'async schema in sync schema'],
    [{ $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, '', 'refers to itself without an end'],
  ])('are refused: %j', (schema, path, message) => {
    const error = failureOf(schema);
    expect(error.message).toContain(message);
    expect(error.path.join('.')).toBe(path);
  });

  it('do not touch the network', () => {
    const fetched = jest.spyOn(globalThis, 'fetch');
    expect(failureOf({ $ref: 'http://127.0.0.1:9/schema.json' }).message).toContain('nothing is fetched');
    expect(fetched).not.toHaveBeenCalled();
    fetched.mockRestore();
  });
});

it('schemas with the same $id do not know each other', () => {
  const id = 'https://x.test/shared';
  expect(violationsOf({ $id: id, type: 'string' }, 1)).toHaveLength(1);
  expect(violationsOf({ $id: id, type: 'integer' }, 1)).toEqual([]);
  expect(() => compileSchema({ $ref: id })).toThrow('is not in the schema');
});

it('any value is either a schema or refused in words', () => {
  const keyword = fc.constantFrom(
    'type',
    'properties',
    'items',
    '$ref',
    '$id',
    '$defs',
    'required',
    'enum',
    'allOf',
    'not',
    'pattern',
    '$schema',
    '$anchor',
    'const',
    'if',
    '__proto__',
  );
  const value = fc.letrec((tie) => ({
    schema: fc.dictionary(
      keyword,
      fc.oneof(
        { maxDepth: 3 },
        fc.jsonValue({ maxDepth: 1 }),
        tie('schema'),
        fc.array(tie('schema'), { maxLength: 2 }),
      ),
      { maxKeys: 3, noNullPrototype: true },
    ),
  })).schema;
  fc.assert(
    fc.property(value, fc.jsonValue({ maxDepth: 2 }), (schema, data) => {
      try {
        expect(Array.isArray(compileSchema(schema as Json)(data as Json))).toBe(true);
      } catch (error) {
        if (!(error instanceof InvalidSchemaError)) throw error;
        expect(error.message.length).toBeGreaterThan(0);
      }
    }),
    { numRuns: 1_000 },
  );
});
