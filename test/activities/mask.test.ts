import { BlockFailure, notRetryable, retryable } from '../../src/activities/block-failure';
import { Mask } from '../../src/activities/secrets/mask';
import { stackFrames } from '../../src/activities/stack-frames';
import { FlowError, flowError } from '../../src/dsl/errors';

const SECRET = 'pä$$ w/rd+"7';

function maskOf(...values: string[]): Mask {
  const mask = new Mask();
  for (const value of values) mask.add(value);
  return mask;
}

it.each([
  ['as it is', SECRET],
  ['URL-encoded', encodeURIComponent(SECRET)],
  ['URL-encoded in lower case', encodeURIComponent(SECRET).replace(/%../g, (code) => code.toLowerCase())],
  ['in the path of a URL', new URL(`http://x.test/${SECRET}/`).pathname],
  ['in the query of a URL', new URL(`http://x.test/?${SECRET}`).search],
  ['as in a form', new URLSearchParams({ a: SECRET }).toString()],
  ['URL-encoded by other languages', encodeURIComponent(SECRET).replaceAll('%2F', '/')],
  ['in hexadecimal', `\\x${Buffer.from(`me:${SECRET}`).toString('hex')}`],
  ['in upper hexadecimal', Buffer.from(SECRET).toString('hex').toUpperCase()],
  ['as in JSON', JSON.stringify({ a: SECRET })],
  ['as in JSON inside of JSON', JSON.stringify(JSON.stringify({ a: SECRET }))],
  ['as an attribute in HTML', `<a b="${SECRET.replace('"', '&quot;')}">`],
  ['as in JSON of ASCII', '"p\\u00e4$$ w/rd+\\"7"'],
  ['as in JSON with escaped slashes', JSON.stringify(SECRET).replace('/', '\\/')],
  ['in base64', Buffer.from(SECRET).toString('base64')],
  ['in the header of basic authentication', Buffer.from(`me:${SECRET}`).toString('base64')],
  ['inside of more base64, one byte on', Buffer.from(`abcd${SECRET}tail`).toString('base64')],
  ['inside of more base64, two bytes on', Buffer.from(`abcde${SECRET}tail`).toString('base64url')],
])('masks a value %s', (_, text) => {
  const masked = maskOf(SECRET).text(`before ${text} after`);
  expect(masked).toContain('before ');
  expect(masked).toContain('***');
  expect(masked).toContain(' after');
  for (const piece of [SECRET, text, 'w/rd', 'w%2Frd', Buffer.from('$$ w/r').toString('base64')]) {
    expect(masked).not.toContain(piece);
  }
});

it('masks in every place of a value, keys and numbers too', () => {
  const value = { a: ['x secret1 y', 5], secret1: null, b: { c: 123456, d: 'secret1' } };
  const mask = maskOf('secret1');
  mask.addAll({ pin: 123456 });
  expect(mask.json(value)).toEqual({ a: ['x *** y', 5], '***': null, b: { c: '***', d: '***' } });
});

it('masks a value of a few characters only where it stands alone', () => {
  const mask = maskOf('abc');
  expect(mask.json(['abc', 'alphabcet', 'ab'])).toEqual(['***', 'alphabcet', 'ab']);
});

it('masks the longer one of two values of which one has the other in it', () => {
  expect(maskOf('secret', 'secret-and-more').text('secret-and-more secret')).toBe('*** ***');
});

it('leaves everything as it is where there is nothing to mask', () => {
  const value = { a: 'secret' };
  expect(new Mask().json(value)).toBe(value);
  const error = new Error('secret');
  expect(new Mask().error(error)).toBe(error);
});

describe('errors', () => {
  const mask = maskOf('secret1');

  it('keep what they say to the machinery, and lose values and causes', () => {
    const failure = retryable('BLW_HTTP_STATUS', 'got secret1', {
      status: 503,
      retryAfterMs: 5,
      data: { content: 'secret1!' },
      cause: new Error('secret1'),
    });
    const masked = mask.error(failure) as BlockFailure;
    expect(masked).toBeInstanceOf(BlockFailure);
    expect(masked.data).toEqual({ ...failure.data, detail: 'got ***', data: { content: '***!' } });
    expect(masked.options).toMatchObject({ retryable: true, retryAfterMs: 5, status: 503 });
    expect(masked.cause).toBeUndefined();
    expect(masked.stack).not.toContain('secret1');
  });

  it('stay what they are', () => {
    expect((mask.error(notRetryable('BLW_ARG_INVALID', 'x')) as BlockFailure).options.retryable).toBe(false);
    const flow = mask.error(flowError('BLW_ARG_INVALID', 'secret1')) as FlowError;
    expect(flow).toBeInstanceOf(FlowError);
    expect(flow).not.toBeInstanceOf(BlockFailure);
    expect(flow.data).toMatchObject({ code: 'BLW_ARG_INVALID', detail: '***' });
    const abort = new DOMException('stop', 'AbortError');
    expect(mask.error(abort)).toBe(abort);
  });

  it('of no block keep where they were thrown', () => {
    const error = new TypeError('secret1 is odd\n    at secret1');
    const masked = mask.error(error) as Error;
    expect(masked).toMatchObject({ name: 'TypeError', message: '*** is odd\n    at ***' });
    expect(masked.stack).not.toContain('secret1');
    expect(masked.stack).toContain('mask.test');
    expect(stackFrames(masked)).toBe(stackFrames(error));
  });

  it.each([
    ['the end of what was read', 'the body began with: a-long-secr'],
    ['dots of ours', 'got "a-long-secret-va…", expected less'],
    ['dots of a database', 'Failing row contains (1, a-long-secret-va..., 7).'],
    ['base64', `Basic ${Buffer.from('u:a-long-secret-value-of-some-length').toString('base64').slice(0, 24)}`],
  ])('lose the beginning of a value that was cut off by %s', (_, detail) => {
    const mask = maskOf('a-long-secret-value-of-some-length');
    const masked = (mask.error(notRetryable('BLW_HTTP_STATUS', detail, { data: { detail } })) as BlockFailure).data;
    expect(masked.detail).toContain('***');
    expect(masked.detail).not.toMatch(/a-lo|YS1sb|EtbG/);
    expect(masked.data).toEqual({ detail: masked.detail });
  });

  it('keep a text that ends like nothing of a value', () => {
    const { detail } = (maskOf('secret').error(notRetryable('BLW_HTTP_STATUS', 'a sec... b sec')) as BlockFailure).data;
    expect(detail).toBe('a sec... b sec');
  });

  it('of a defect lose values, too', () => {
    const masked = mask.error(new TypeError('no secret1')) as Error;
    expect([masked.name, masked.message]).toEqual(['TypeError', 'no ***']);
  });
});
