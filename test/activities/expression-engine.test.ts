import { existsSync, readFileSync } from 'node:fs';
import {
  createExpressionEngine,
  type ExpressionEngine,
  type ExpressionEngineOptions,
} from '../../src/activities/expressions/expression-engine';
import type { BatchItem, BatchValues } from '../../src/dsl/expressions/batch';
import type { Json, JsonObject } from '../../src/dsl/json';
import { type Compiled, compileSources } from '../helpers/compiled';

let compiled: Compiled;
/** With time for everything, whatever else the machine does. */
let shared: ExpressionEngine;
/** With the deadline of a worker. */
let strict: ExpressionEngine;
const engines: ExpressionEngine[] = [];

beforeAll(() => {
  compiled = compileSources();
  shared = openEngine({ deadlineMs: 20_000 });
  strict = openEngine();
}, 120_000);

afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.close()));
  compiled?.remove();
});

function openEngine(limits: ExpressionEngineOptions['limits'] = {}): ExpressionEngine {
  const entry = compiled.path('src/activities/expressions/host-main.js');
  const engine = createExpressionEngine({ entry, limits });
  engines.push(engine);
  return engine;
}

type Language = 'jq' | 'jsonata';

const value = (name: string, expr: string, ...bind: string[]): BatchItem => ({
  name,
  template: { expr },
  ...(bind.length === 0 ? {} : { bind }),
});

function evaluateAll(
  language: Language,
  items: readonly BatchItem[],
  variables: JsonObject & { data: Json } = { data: null },
  engine = shared,
): Promise<BatchValues> {
  return engine.evaluate({ language, items, variables });
}

async function evaluate(language: Language, expression: string, data: Json = null, engine = shared): Promise<Json> {
  const { x = null } = await evaluateAll(language, [value('x', expression)], { data }, engine);
  return x;
}

const failure = (detail: string) => ({ data: { code: 'BLW_EXPR_FAILED', detail: expect.stringContaining(detail) } });

/** An expression that never ends by itself. */
const ENDLESS: Record<Language, string> = { jq: 'def f: f; f', jsonata: '($f := function() { $f() }; $f())' };

describe.each<[Language, (name: string) => string, string]>([
  ['jq', (name) => `.${name}`, '.a + 1'],
  ['jsonata', (name) => name, 'a + 1'],
])('a batch in %s', (language, read, increment) => {
  it('passes what an item binds on to those after it', async () => {
    const items = [value('input', read('order'), 'input', 'data'), value('x', read('a')), value('y', '$input.a')];
    expect(await evaluateAll(language, items, { data: { order: { a: 7 } } })).toEqual({ input: { a: 7 }, x: 7, y: 7 });
  });

  it('puts expressions into text, lists and objects', async () => {
    const a = { expr: read('a') };
    const items: BatchItem[] = [
      {
        name: 'text',
        template: { text: ['a is ', a, '; b is ', { expr: read('b') }, '; none: ', { expr: read('none') }] },
      },
      { name: 'map', template: { map: [['list', { list: [a, { value: 2 }] }]] } },
      { name: 'uri', template: { uri: ['x/', { variable: 'a' }] } },
    ];
    expect(await evaluateAll(language, items, { data: { a: 1, b: [true] } })).toEqual({
      text: 'a is 1; b is [true]; none: ',
      map: { list: [1, 2] },
      uri: 'x/1',
    });
  });

  it('ends where a condition says so, and evaluates nothing after it', async () => {
    const items: BatchItem[] = [
      { name: 'runs', condition: read('runs'), field: 'if', stopIf: false },
      value('never', ENDLESS[language]),
    ];
    expect(await evaluateAll(language, items, { data: { runs: false } })).toEqual({ runs: false });
  });

  it('takes no condition that is neither true nor false', async () => {
    const items: BatchItem[] = [{ name: 'runs', condition: read('runs'), field: 'if' }, value('y', ENDLESS[language])];
    await expect(evaluateAll(language, items, { data: { runs: 1 } })).rejects.toMatchObject(
      failure('gave a number, expected true or false'),
    );
  });

  it('fails with the first expression that fails, and names it', async () => {
    const items = [value('a', read('a')), value('b', increment), value('c', ENDLESS[language])];
    await expect(evaluateAll(language, items, { data: { a: 'text' } })).rejects.toMatchObject(
      failure(`\${ ${increment} }`),
    );
  });

  it('names the expression that does not end', async () => {
    const items = [value('a', read('a')), value('b', ENDLESS[language]), value('c', read('c'))];
    await expect(evaluateAll(language, items, { data: {} }, strict)).rejects.toMatchObject(
      failure(`\${ ${ENDLESS[language]} }: took longer than 1000 ms`),
    );
  });

  it('keeps names that JavaScript gives a meaning', async () => {
    const data = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}');
    expect(JSON.stringify(await evaluate(language, language === 'jq' ? '.' : '$', data))).toBe(JSON.stringify(data));
  });

  it('bounds the size of what it gives', async () => {
    const items = [value('a', read('text'), 'once'), value('b', read('text'))];
    const variables = { data: { text: 'x'.repeat(1_000_000) } };
    expect(await evaluateAll(language, [value('a', read('text'))], variables)).toEqual({ a: variables.data.text });
    await expect(evaluateAll(language, items, variables)).rejects.toMatchObject(failure('at most 1900000 fit'));
  });

  it('refuses data that is nested too deeply, and results', async () => {
    const nested = JSON.parse(`${'['.repeat(300)}1${']'.repeat(300)}`) as Json;
    await expect(evaluate(language, language === 'jq' ? '.' : '$', nested)).rejects.toMatchObject(
      failure('nested deeper than 250'),
    );
  });
});

describe('hostile expressions end with a message:', () => {
  it.each<[Language, string, string | RegExp]>([
    ['jq', '[range(1e9)]', ''],
    ['jq', '[limit(1e9; repeat(1))]', ''],
    ['jq', 'last(repeat(1))', 'took longer'],
    ['jq', 'def f: 1 + f; f', ''],
    ['jq', '"a" * 1e9', '256 MB'],
    ['jq', '.[1e9] = 1', '256 MB'],
    ['jq', '"x" * 3000000', ''],
    ['jq', 'reduce range(20000) as $i (1; [.])', ''],
    ['jq', '("a" * 40 + "!") | test("^(a|a)*$")', ''],
    ['jq', `${'('.repeat(20_000)}1${')'.repeat(20_000)}`, ''],
    ['jq', `[${'1,'.repeat(40_000)}1] | ${'.|'.repeat(20_000)} length`, ''],
    ['jsonata', '($f := function($n) { 1 + $f($n) }; $f(1))', 'call each other more than 400 deep'],
    ['jsonata', '[1..10000000]', 'a list of more than 1000000 items'],
    ['jsonata', '$map([1..1000000], function($x) { $map([1..1000000], function($y) { $y }) })', ''],
    ['jsonata', '$pad("a", 500000000)', 'a text of more than 4000000 characters'],
    ['jsonata', '($f := function($s) { $f($s & $s) }; $f("aaaaaaaa"))', 'a text of more than 4000000 characters'],
    ['jsonata', '($f := function($a) { $f([$a, $a]) }; $f(1))', ''],
    ['jsonata', '$reduce([1..1000000], $append)', ''],
    ['jsonata', '$toMillis($pad("", -60, "1") & "x", "[Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y][Y]")', ''],
    ['jsonata', `${'('.repeat(20_000)}1${')'.repeat(20_000)}`, 'nested too deeply'],
  ])('%s: %.60s', async (language, expression, detail) => {
    const outcome = evaluate(language, expression, null, strict).then(
      // Deep brackets and long pipes are no harm to jq.
      (result) => ({ data: { code: 'BLW_EXPR_FAILED', detail: `gave ${JSON.stringify(result).slice(0, 10)}` } }),
      (error: unknown) => error,
    );
    expect(await outcome).toMatchObject(failure(String(detail)));
    expect(await evaluate(language, language === 'jq' ? '.a' : 'a', { a: 1 }, strict)).toBe(1);
  });
});

describe('the engine', () => {
  it('starts nothing before it is asked, and leaves nothing behind', async () => {
    const engine = openEngine();
    expect(engine.pids()).toEqual([]);
    expect(await evaluate('jq', '.a', { a: 1 }, engine)).toBe(1);
    const [pid = 0] = engine.pids();
    expect(isAlive(pid)).toBe(true);
    await engine.close();
    expect(isAlive(pid)).toBe(false);
    await expect(evaluate('jq', '.a', { a: 1 }, engine)).rejects.toThrow('the worker is stopping');
  });

  it('ends what is under way when it is closed', async () => {
    const engine = openEngine({ deadlineMs: 600_000 });
    const hostile = expect(evaluate('jq', ENDLESS.jq, null, engine)).rejects.toThrow('the worker is stopping');
    expect(await evaluate('jsonata', 'a', { a: 1 }, engine)).toBe(1);
    await engine.close();
    await hostile;
  });

  it('gives its process nothing of the environment', async () => {
    await evaluate('jq', '.', 1);
    const [pid = 0] = shared.pids();
    if (!existsSync(`/proc/${pid}/environ`)) return;
    const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((entry) => entry.split('=', 1).join());
    expect(
      names.filter((name) => !['', 'TZ', 'NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE'].includes(name)),
    ).toEqual([]);
  });

  it('lets ordinary expressions by while hostile ones hold all processors', async () => {
    const engine = openEngine({ fastThreads: 2, deadlineMs: 600_000 });
    await evaluate('jq', '.a', { a: 1 }, engine);
    let ended = 0;
    const hostile = Array.from({ length: 10 }, async (_, index) => {
      const language = index % 2 === 0 ? 'jq' : 'jsonata';
      await evaluate(language, ENDLESS[language], null, engine).catch(() => undefined);
      ended += 1;
    });
    const ordinary = Array.from({ length: 10 }, (_, index) => evaluate('jq', `.a + ${index}`, { a: 1 }, engine));
    expect(await Promise.all(ordinary)).toEqual(Array.from({ length: 10 }, (_, index) => 1 + index));
    expect(ended).toBe(0);
    await engine.close();
    await Promise.all(hostile);
  });

  it('ends ten hostile expressions at their deadline', async () => {
    const hostile = Array.from({ length: 10 }, (_, index) => {
      const language = index % 2 === 0 ? 'jq' : 'jsonata';
      return evaluate(language, ENDLESS[language], null, strict).catch((error: unknown) => error);
    });
    for (const outcome of await Promise.all(hostile))
      expect(outcome).toMatchObject(failure('took longer than 1000 ms'));
  });

  it('keeps an expression that took too long out of the way the next time', async () => {
    const engine = openEngine({ fastThreads: 1, maxDemoted: 1, deadlineMs: 1_000 });
    await expect(evaluate('jq', ENDLESS.jq, null, engine)).rejects.toMatchObject(failure('took longer'));
    const order: string[] = [];
    const again = Array.from({ length: 2 }, () =>
      evaluate('jq', ENDLESS.jq, null, engine).catch(() => order.push('hostile')),
    );
    await evaluate('jq', '.a', { a: 1 }, engine).then(() => order.push('ordinary'));
    await Promise.all(again);
    expect(order).toEqual(['ordinary', 'hostile', 'hostile']);
  });

  it('outlives what uses too much memory, and blames only that', async () => {
    const engine = openEngine({ deadlineMs: 30_000, heapMb: 64 });
    const bomb = '($s := $pad("a", 4000000); $length($string([1..2000].($s))))';
    const outcomes = await Promise.allSettled([
      evaluate('jsonata', bomb, null, engine),
      ...Array.from({ length: 5 }, (_, index) => evaluate('jsonata', `a + ${index}`, { a: 1 }, engine)),
    ]);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: failure('used too much memory') });
    expect(outcomes.slice(1).map((outcome) => 'value' in outcome && outcome.value)).toEqual([1, 2, 3, 4, 5]);
    expect(await evaluate('jsonata', 'a', { a: 9 }, engine)).toBe(9);
  });

  it('tries again alone what ran when its process broke, and blames what breaks it again', async () => {
    const engine = openEngine({ deadlineMs: 600_000 });
    const hostile = evaluate('jq', ENDLESS.jq, null, engine).catch((error: unknown) => error);
    // What is answered behind it shows that it has begun.
    await evaluate('jq', '.', 1, engine);
    const [first = 0] = engine.pids();
    process.kill(first, 'SIGKILL');
    const alone = await firstOf(() => engine.pids().find((pid) => pid !== first));
    process.kill(alone, 'SIGKILL');
    expect(await hostile).toMatchObject(failure('used too much memory'));
    expect(await evaluate('jq', '.', 2, engine)).toBe(2);
  });

  it('keeps nothing of one expression for the next', async () => {
    expect(await evaluate('jsonata', '($secret := 1; $secret)')).toBe(1);
    expect(await evaluate('jsonata', '$secret')).toBeNull();
    expect(await evaluate('jsonata', '($sum := 5; $sum)')).toBe(5);
    expect(await evaluate('jsonata', '$sum([1, 2])')).toBe(3);
    await expect(evaluate('jq', 'error("x")')).rejects.toMatchObject(failure(': x'));
    expect(await evaluate('jq', '1')).toBe(1);
  });
});

describe('the syntax of jq', () => {
  it('is checked without evaluating anything', async () => {
    const questions = [
      { expression: '.a | $x', variables: ['x'] },
      { expression: ENDLESS.jq, variables: [] },
      { expression: 'error("never")', variables: [] },
    ];
    expect(await shared.checkJq(questions)).toEqual([null, null, null]);
  });

  it('is told of each expression, with the line where there are several', async () => {
    const wrong = ['.a |', '$y', '.a\n| foo', '"a', '.a # c', 'input; .', 'import "a" as a; .', ''];
    expect(await shared.checkJq(wrong.map((expression) => ({ expression, variables: ['x'] })))).toEqual([
      'syntax error, it ends too early',
      '$y is not defined',
      'foo/0 is not defined in line 2',
      'brackets or quotes do not close',
      null,
      expect.stringContaining("unexpected ';'"),
      expect.stringContaining('import is not available'),
      'syntax error, it ends too early',
    ]);
  });

  it('is checked of hundreds at a time', async () => {
    const questions = Array.from({ length: 300 }, (_, index) => ({
      expression: index === 170 ? '.a |' : `.a${index} | $x`,
      variables: index % 2 === 0 ? ['x'] : ['x', 'y'],
    }));
    const verdicts = await shared.checkJq(questions);
    expect(verdicts.flatMap((verdict, index) => (verdict === null ? [] : [index]))).toEqual([170]);
  });
});

/** What is there at last. */
async function firstOf<T>(find: () => T | undefined): Promise<T> {
  for (;;) {
    const found = find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
