import { jsonBytes, measureJson, takeEncoded } from '../../src/dsl/encoded-json';

const bytesOf = (value: unknown) => Buffer.from(JSON.stringify(value));

/** JSON has quotes around a text. */
const textOf = (character: string, length: number) => character.repeat(length - 2);

describe('the size of a value', () => {
  it.each<[string, unknown]>([
    ['text in ASCII', 'a\tb\u0000\u007f'],
    ['text with umlauts', 'äöü'],
    ['the euro sign', '€'],
    ['an emoji, which are two code units', '🚀'],
    ['half of one, which JSON escapes', '\ud83d!'],
    ['a key that is not ASCII', { größe: [1, null, true] }],
    ['a number', 1.5],
    ['the longest text that is not kept', textOf('x', 65_535)],
    ['the shortest text that is kept', textOf('x', 65_536)],
    ['a kept text that is not ASCII', textOf('ß', 65_536)],
    ['a large object', { text: 'ä'.repeat(70_000) }],
  ])('is that of its JSON in UTF-8: %s', (_, value) => {
    expect(measureJson(value)).toBe(bytesOf(value).length);
    expect(jsonBytes(value)).toBe(bytesOf(value).length);
    expect(Buffer.from(takeEncoded(value) ?? [])).toEqual(bytesOf(value));
  });

  it('is none of what is not JSON', () => {
    expect([measureJson(undefined), jsonBytes(() => 1), measureJson(Symbol('s'))]).toEqual([0, 0, 0]);
    expect(takeEncoded(undefined)).toBeUndefined();
    expect(() => measureJson(1n)).toThrow(TypeError);
  });
});

describe('what was encoded to be measured', () => {
  it('is sent once, where it is large', () => {
    const large = { text: 'x'.repeat(70_000) };
    measureJson(large);
    large.text = 'y';
    expect(takeEncoded(large)?.length).toBe(70_011);
    expect(takeEncoded(large)).toEqual(new Uint8Array(bytesOf({ text: 'y' })));
  });

  it('is forgotten once the value is measured anew', () => {
    const value = { text: 'x'.repeat(70_000) };
    measureJson(value);
    value.text = 'y';
    expect(measureJson(value)).toBe(12);
    expect(takeEncoded(value)?.length).toBe(12);
  });
});
