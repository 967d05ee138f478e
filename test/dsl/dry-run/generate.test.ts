import { BLOCK_SPECS } from '../../../src/dsl/block-registry';
import { describeEffect } from '../../../src/dsl/dry-run/describe-effect';
import { generateOutput } from '../../../src/dsl/dry-run/generate-output';
import { generateValue } from '../../../src/dsl/dry-run/generate-value';
import type { Json, JsonObject } from '../../../src/dsl/json';
import { compileSchema } from '../../../src/dsl/validation/json-schemas';

function selfReferring(): JsonObject {
  return Object.fromEntries([...'abcdefghijklmnopqrstuvwxyzABCD'].map((name) => [name, { $ref: '#' }]));
}

describe('generateValue', () => {
  it.each<[Json, Json]>([
    [{ type: 'string' }, ''],
    [{ type: 'string', minLength: 3 }, 'xxx'],
    [{ type: 'string', format: 'date-time' }, '2000-01-01T00:00:00Z'],
    [{ type: 'integer', minimum: 1.5 }, 2],
    [{ type: 'number', exclusiveMinimum: 0 }, 1],
    [{ type: 'boolean' }, false],
    [{ type: ['null', 'string'] }, null],
    [{ const: 'a' }, 'a'],
    [{ enum: ['b', 'c'] }, 'b'],
    [{ type: 'string', default: 'd' }, 'd'],
    [{ type: 'string', examples: ['e'] }, 'e'],
    [{ type: 'array', items: { type: 'integer' }, minItems: 2 }, [0, 0]],
    [{ type: 'array', items: { type: 'integer' }, minItems: 1_000_000 }, Array.from({ length: 20 }, () => 0)],
    [{ type: 'object', properties: { a: { type: 'string' }, b: { type: 'number' } }, required: ['b'] }, { b: 0 }],
    [{ properties: { a: { type: 'string' } } }, { a: '' }],
    [{ allOf: [{ properties: { a: { const: 1 } } }, { properties: { b: { const: 2 } } }] }, { a: 1, b: 2 }],
    [{ oneOf: [{ const: 1 }, { const: 2 }] }, 1],
    [{ $ref: '#/$defs/x', $defs: { x: { const: 5 } } }, 5],
    [{ $ref: 'https://example.com/schema.json' }, {}],
    [true, {}],
  ])('makes of %j', (schema, value) => {
    expect(generateValue(schema)).toEqual(value);
  });

  it('ends where a schema contains itself', () => {
    const tree: Json = { type: 'object', properties: { left: { $ref: '#' } }, required: ['left'] };
    expect(JSON.stringify(generateValue(tree)).length).toBeLessThan(200);
  });

  it.each<[string, Json]>([
    [
      'as all that it requires',
      { type: 'object', required: [...'abcdefghijklmnopqrstuvwxyzABCD'], properties: selfReferring() },
    ],
    ['as each of its parts', { allOf: Array.from({ length: 20 }, () => ({ $ref: '#' })) }],
    ['as each of its items', { type: 'array', minItems: 20, items: { $ref: '#' } }],
    ['with a large default', { type: 'array', minItems: 20, items: { anyOf: [{ default: 'x'.repeat(100_000) }] } }],
  ])('makes only so much of a schema that has itself %s', (_, schema) => {
    expect(JSON.stringify(generateValue(schema)).length).toBeLessThan(300_000);
  });

  it('keeps a name that means something to JavaScript as data', () => {
    const schema = JSON.parse('{"properties": {"__proto__": {"const": 1}}}') as Json;
    expect(JSON.stringify(generateValue(schema))).toBe('{"__proto__":1}');
  });
});

describe('generateOutput', () => {
  const SAMPLES: Readonly<Record<string, JsonObject>> = {
    'fs.put': { path: 'a', content: 'x' },
    'sql.transaction': { statements: [{ statement: 'x' }, { statement: 'y' }] },
  };

  it.each(BLOCK_SPECS.map(({ type, output }) => [type, output] as const))(
    'matches the schema of %s',
    (type, output) => {
      expect(compileSchema(output)(generateOutput(type, SAMPLES[type] ?? { path: 'a' }))).toEqual([]);
    },
  );

  it('says of a list that there is no more of it', () => {
    expect(generateOutput('fs.list', {})).toEqual({ entries: [] });
  });

  it('gives a result for each statement', () => {
    const statements = [{ statement: 'x' }, { statement: 'y' }];
    expect(generateOutput('sql.transaction', { statements })).toEqual({
      results: [{ rowsAffected: 1 }, { rowsAffected: 1 }],
    });
  });

  it('takes the schema of the author before that of the block', () => {
    expect(generateOutput('http.request', {}, { type: 'object', properties: { id: { type: 'integer' } } })).toEqual({
      id: 0,
    });
  });

  it('gives a response where that is asked for', () => {
    const args = { method: 'post', endpoint: { uri: 'https://example.com/a?key=1' }, output: 'response' };
    expect(generateOutput('http.request', args)).toEqual({
      request: { method: 'POST', uri: 'https://example.com/a', headers: {} },
      statusCode: 200,
      headers: {},
      content: {},
    });
  });
});

describe('describeEffect', () => {
  it.each<[string, JsonObject, string]>([
    [
      'http.request',
      { method: 'post', endpoint: { uri: 'https://u:p@example.com/a?key=1' }, headers: { a: 'b' }, body: { x: 1 } },
      'would send POST https://example.com/a with 1 header and a body of 7 bytes',
    ],
    [
      'http.request',
      { method: 'get', endpoint: { uri: 'https://example.com/' } },
      'would send GET https://example.com/',
    ],
    [
      'http.stream',
      { endpoint: { uri: 'https://example.com/' }, to: 'a/b' },
      'would send GET https://example.com/ and write the answer to blob a/b',
    ],
    [
      'openapi.call',
      { document: { endpoint: { uri: 'https://example.com/api.json' } }, operationId: 'getPet' },
      'would fetch the OpenAPI document https://example.com/api.json and call its operation getPet',
    ],
    ['fs.put', { path: 'a', content: 'é' }, 'would write 2 bytes to blob a'],
    ['fs.put', { path: 'a', base64: 'YQ==' }, 'would write 1 byte to blob a'],
    ['fs.delete', { path: 'a' }, 'would delete blob a'],
    ['fs.list', {}, 'would list the blobs that begin with ""'],
    [
      'sql.execute',
      { database: 'shop', statement: 'DELETE\n  FROM t' },
      'would run 1 statement on database shop: DELETE FROM t',
    ],
    [
      'sql.transaction',
      { database: 'shop', statements: [1, 2] },
      'would run 2 statements in one transaction on database shop',
    ],
    [
      'human.approval',
      { title: 'Pay?', assignees: { groups: ['finance'], users: ['ann'] } },
      'would ask group finance and ann for approval: Pay?',
    ],
    ['human.approval', { title: 'Pay?' }, 'would ask anybody for approval: Pay?'],
    ['script.run', { code: 'const a = 1;\nreturn a;\n' }, 'would run a script of 2 lines'],
    ['custom.block', {}, 'would run custom.block'],
  ])('%s %j', (block, args, text) => {
    expect(describeEffect(block, args)).toBe(text);
  });
});
