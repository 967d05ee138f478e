import { cacheDigest } from '../../src/activities/cache-digest';
import type { StepCache } from '../../src/activities/ports/step-cache';
import { MAX_CACHED_BYTES, ResultCache } from '../../src/activities/result-cache';
import type { Json } from '../../src/dsl/json';
import type { StepRequest } from '../../src/dsl/step-request';
import { makeContext } from '../helpers/block-context';

const REQUEST: StepRequest = {
  tenant: 'acme',
  flow: 'shop/orders:1.0.0',
  stepId: '/do/0/call',
  key: 'acme:flow-1:/do/0/call:0:0',
  idempotent: false,
  with: { a: { x: 1, y: 2 }, b: [1, 2] },
  cache: { maxAgeMs: 1_000 },
};

describe('the digest of a result', () => {
  const digest = (changes: Partial<StepRequest> = {}, block = 'http.request') =>
    cacheDigest(block, { ...REQUEST, ...changes });
  const keyed = (key: Json, changes: Partial<StepRequest> = {}) => digest({ cache: { key, maxAgeMs: 1 }, ...changes });

  it.each<[string, Partial<StepRequest>]>([
    ['version of the flow', { flow: 'shop/orders:2.0.0' }],
    ['idempotency key', { key: 'acme:flow-2:/do/0/call:0:0' }],
    ['age', { cache: { maxAgeMs: 9 } }],
    ['order of keys', { with: { b: [1, 2], a: { y: 2, x: 1 } } }],
  ])('is the same whatever the %s', (_what, changes) => {
    expect(digest(changes)).toBe(digest());
  });

  it.each<[string, Partial<StepRequest>]>([
    ['tenant', { tenant: 'acme2' }],
    ['name of the flow', { flow: 'shop/order:1.0.0' }],
    ['step', { stepId: '/do/1/call' }],
    ['arguments', { with: { a: { x: 1, y: 2 }, b: [2, 1] } }],
    ['type of an argument', { with: { a: { x: '1', y: 2 }, b: [1, 2] } }],
    ['__proto__ among the arguments', { with: JSON.parse('{"a":{"x":1,"y":2},"b":[1,2],"__proto__":1}') as never }],
  ])('differs with the %s', (_what, changes) => {
    expect(digest(changes)).not.toBe(digest());
  });

  it('differs with the block', () => {
    expect(digest({}, 'http.stream')).not.toBe(digest());
  });

  it('is made of the key instead of the arguments where there is one', () => {
    expect(keyed('a', { with: {} })).toBe(keyed('a'));
    expect(keyed({ b: 1, a: 2 })).toBe(keyed({ a: 2, b: 1 }));
    const different = ['a', 'b', 1, '1', '', [], {}, REQUEST.with].map((key) => keyed(key));
    expect(new Set([...different, digest()]).size).toBe(9);
    expect(keyed('a', { tenant: 'b' })).not.toBe(keyed('a'));
  });

  it('takes a secret by its name, wherever its placeholder stands', () => {
    const withSecret = (placeholder: string, path: string[]) =>
      digest({
        with: { header: `Bearer ${placeholder}`, [placeholder]: placeholder },
        secrets: { placeholders: [{ text: placeholder, path }] },
      });
    expect(withSecret('blw-secret-1-0-', ['token'])).toBe(withSecret('blw-secret-2-0-', ['token']));
    expect(withSecret('blw-secret-1-0-', ['token'])).not.toBe(withSecret('blw-secret-1-0-', ['other']));
    expect(digest({ secrets: { policies: [{ at: ['a'], name: 'login' }] } })).not.toBe(digest());
  });

  it('takes no text for a secret', () => {
    const placeholder = 'blw-secret-1-0-';
    const real = digest({
      with: { a: `x${placeholder}y` },
      secrets: { placeholders: [{ text: placeholder, path: ['t'] }] },
    });
    for (const text of ['x["t"]y', 'x",["t"],"y', 'x\\",[\\"t\\"],\\"y'])
      expect(digest({ with: { a: text } })).not.toBe(real);
  });
});

describe('ResultCache', () => {
  const stored = new Map<string, Json>();
  const log: string[] = [];
  const memory: StepCache = {
    get: async ({ digest }) => {
      const output = stored.get(digest);
      return output === undefined ? undefined : { output };
    },
    put: async ({ digest }, output) => {
      stored.set(digest, output);
    },
    sweep: async () => ({ removed: 0, freedBytes: 0 }),
  };
  const resultsOf = (store: Partial<StepCache>) =>
    new ResultCache({ ...memory, ...store }, (level, message, fields) =>
      log.push(JSON.stringify([level, message, fields])),
    );
  let runs = 0;
  const block = async (): Promise<Json> => {
    runs += 1;
    return `output ${runs}`;
  };
  const never = () => new Promise<never>(() => undefined);
  beforeEach(() => {
    stored.clear();
    log.length = 0;
    runs = 0;
  });

  it('runs the block once, and then gives its output again', async () => {
    const results = resultsOf({});
    expect(await results.reuse(REQUEST, makeContext({}), block)).toEqual({ output: 'output 1' });
    expect(await results.reuse(REQUEST, makeContext({}), block)).toEqual({ output: 'output 1', cached: true });
    expect([runs, log]).toEqual([1, []]);
  });

  it('neither reads nor writes for a step that does not say so', async () => {
    const { cache: _, ...plain } = REQUEST;
    const results = resultsOf({
      get: () => Promise.reject(new Error('read')),
      put: () => Promise.reject(new Error('written')),
    });
    expect(await results.reuse(plain, makeContext({}), block)).toEqual({ output: 'output 1' });
    expect(log).toEqual([]);
  });

  it('runs a step whose arguments cannot be told apart, and keeps nothing', async () => {
    let nested: Json = [];
    for (let depth = 0; depth < 100_000; depth += 1) nested = [nested];
    const outcome = await resultsOf({}).reuse({ ...REQUEST, with: { nested } }, makeContext({}), block);
    expect([outcome, stored.size]).toEqual([{ output: 'output 1' }, 0]);
    expect(log.join()).toContain('could not be named for the cache');
  });

  it('keeps nothing of a block that fails, and passes its error on', async () => {
    const failure = new Error('the service is down');
    await expect(resultsOf({}).reuse(REQUEST, makeContext({}), () => Promise.reject(failure))).rejects.toBe(failure);
    expect(stored.size).toBe(0);
    expect(await resultsOf({}).reuse(REQUEST, makeContext({}), block)).toEqual({ output: 'output 1' });
  });

  it('keeps nothing of a block that came to its end although the step was cancelled', async () => {
    const abort = new AbortController();
    const cancelled = async () => {
      abort.abort();
      return await block();
    };
    const context = makeContext({}, { signal: abort.signal });
    expect(await resultsOf({}).reuse(REQUEST, context, cancelled)).toEqual({ output: 'output 1' });
    expect(stored.size).toBe(0);
  });

  it('keeps outputs up to 1 MiB of JSON', async () => {
    const text = (bytes: number) => async () => 'ü'.repeat(bytes / 2 - 1);
    await resultsOf({}).reuse(REQUEST, makeContext({}), text(MAX_CACHED_BYTES));
    expect([stored.size, log]).toEqual([1, []]);
    stored.clear();
    const large = await resultsOf({}).reuse(REQUEST, makeContext({}), text(MAX_CACHED_BYTES + 2));
    expect(large).toEqual({ output: expect.any(String) as string });
    expect(stored.size).toBe(0);
    expect(log.join()).toContain('too large');
    expect(JSON.parse(log.join())).toMatchObject([
      'debug',
      expect.anything(),
      { step_id: '/do/0/call', bytes: MAX_CACHED_BYTES + 2 },
    ]);
  });

  it.each<[string, Partial<StepCache>]>([
    ['cannot be read', { get: () => Promise.reject(new Error('disk is broken')) }],
    ['cannot be written', { put: () => Promise.reject(new Error('disk is broken')) }],
    [
      'throws at once',
      {
        get: () => {
          throw new Error('disk is broken');
        },
      },
    ],
    ['hangs when it is read', { get: never }],
    ['hangs when it is written', { put: never }],
  ])('runs without a store that %s, and says so', async (_how, store) => {
    // The wait for a store that hangs is bounded by the deadline of the step as well.
    const context = makeContext({}, { timeoutMs: 50 });
    expect(await resultsOf(store).reuse(REQUEST, context, block)).toEqual({ output: 'output 1' });
    expect(log).toHaveLength(1);
    expect(JSON.parse(log.join())).toEqual([
      'warn',
      expect.stringMatching(/^result of a step could not be (read from|written to) the cache$/),
      expect.objectContaining({
        flow_id: 'flow-1',
        step_id: '/do/0/call',
        error: expect.stringMatching(/broken|no answer within/) as string,
      }),
    ]);
  });
});
