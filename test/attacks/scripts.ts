/** What an attempt must end with: one of these codes, or a value. */
export type ScriptExpectation = { readonly codes: readonly string[] } | { readonly value: unknown };

/** A script that is tried, as a function or as a process. */
export interface ScriptInput {
  readonly kind: string;
  readonly name: string;
  readonly code: string;
  readonly input?: unknown;
  readonly process?: Readonly<Record<string, unknown>>;
  readonly expect: ScriptExpectation;
  readonly isControl?: true;
}

const FAILED: ScriptExpectation = { codes: ['BLW_SCRIPT_FAILED'] };
const STOPPED: ScriptExpectation = { codes: ['BLW_SCRIPT_TIMEOUT'] };
const FULL: ScriptExpectation = { codes: ['BLW_SCRIPT_MEMORY'] };
const TOO_MUCH: ScriptExpectation = { codes: ['BLW_SCRIPT_OUTPUT'] };
/** Which limit is met first depends on the machine. */
const EXHAUSTED: ScriptExpectation = { codes: ['BLW_SCRIPT_MEMORY', 'BLW_SCRIPT_TIMEOUT', 'BLW_SCRIPT_FAILED'] };
const value = (expected: unknown): ScriptExpectation => ({ value: expected });

type Row = readonly [name: string, code: string, expect: ScriptExpectation];

const rows = (kind: string, list: readonly Row[], more: Partial<ScriptInput> = {}): ScriptInput[] =>
  list.map(([name, code, expect]) => ({ kind, name, code, expect, ...more }));

const control = (kind: string, name: string, code: string, expected: unknown, more: Partial<ScriptInput> = {}) =>
  ({ kind, name, code, expect: value(expected), isControl: true, ...more }) as const satisfies ScriptInput;

/** What the code of a function can see of the world outside, asked with a function maker that it got hold of. */
const LOOK = "'return typeof process + typeof require + typeof module + typeof Buffer'";
const NOTHING = value('undefinedundefinedundefinedundefined');

/** Ways out of other sandboxes (vm, vm2, isolated-vm, realms, wrappers of QuickJS), as they would be written for this one. */
const ESCAPES = rows(
  'ways out of other sandboxes',
  [
    ['constructor of a constructor', `return (this ?? globalThis).constructor.constructor(${LOOK})()`, NOTHING],
    ['constructor of the input', `return input.constructor.constructor(${LOOK})()`, NOTHING],
    ['constructor of the console', `return console.log.constructor(${LOOK})()`, NOTHING],
    ['constructor of an async function', `return await (async () => {}).constructor(${LOOK})()`, NOTHING],
    ['constructor of a generator', `return (function* () {}).constructor(${LOOK})().next().value`, NOTHING],
    [
      'constructor of an async generator',
      `return (await (async function* () {}).constructor(${LOOK})().next()).value`,
      NOTHING,
    ],
    ['indirect eval', "return (0, eval)('typeof process + typeof require + typeof module + typeof Buffer')", NOTHING],
    [
      'error of a stack overflow (CVE-2019-10761)',
      `const dig = () => { try { return dig(); } catch (error) { return error.constructor.constructor(${LOOK})(); } };
     return dig()`,
      NOTHING,
    ],
    [
      'call sites by Error.prepareStackTrace',
      `Error.prepareStackTrace = (_, sites) => sites;
     const [site] = new Error().stack;
     const found = site?.getThis?.() ?? site?.getFunction?.() ?? {};
     return found.constructor.constructor(${LOOK})()`,
      NOTHING,
    ],
    [
      'stack getter of a thrown error with a hostile prepareStackTrace (CVE-2023-29017)',
      `Error.prepareStackTrace = (error, frames) => { frames.constructor.constructor('return process')().exit(); };
     throw new Error('out')`,
      { codes: ['BLW_SCRIPT_FAILED'] },
    ],
    [
      'species of a promise (CVE-2023-32314)',
      `let seen = 'nothing';
     class Spy extends Promise {
       static get [Symbol.species]() { return function (run) { run(() => {}, (error) => { seen = error; }); }; }
     }
     await new Spy((resolve) => resolve()).then(() => 1) ?? 0;
     return seen.constructor.constructor(${LOOK})()`,
      NOTHING,
    ],
    [
      'species of an array that the host maps',
      `Array.prototype.constructor = { [Symbol.species]: function () { return new Proxy([], { set() { throw 1; } }); } };
     return [1, 2, 3]`,
      value([1, 2, 3]),
    ],
    [
      'rejection handler of an async function (CVE-2023-37466)',
      `const fail = async () => { Error.prototype.name = new Proxy({}, {}); const error = new Error(); error.name = Symbol(); return error.stack; };
     return fail().then(() => 'went on', (error) => error.constructor.constructor(${LOOK})())`,
      { codes: ['BLW_SCRIPT_FAILED', 'value'] },
    ],
    [
      'exception of the host while it prints',
      `try { console.log({ toJSON() { throw { constructor: null }; } }, Symbol('x')); } catch (error) { return error; }
     return 'printed'`,
      value('printed'),
    ],
    [
      'caller of the function',
      'function f() { return f.caller; } try { return String(f()); } catch { return "no"; }',
      value('undefined'),
    ],
    [
      'walk over the prototypes of all globals',
      `const seen = new Set(), names = [];
     const visit = (value) => {
       if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
       seen.add(value);
       for (const key of Reflect.ownKeys(value)) {
         const found = Reflect.getOwnPropertyDescriptor(value, key);
         names.push(String(key));
         visit(found.value); visit(found.get); visit(found.set);
       }
       visit(Reflect.getPrototypeOf(value));
     };
     visit(globalThis);
     const wanted = ['process', 'require', 'Buffer', 'WebAssembly', 'fetch', 'XMLHttpRequest', 'WebSocket', 'Worker',
       'setTimeout', 'setInterval', 'std', 'os', 'load', 'loadScript', 'print', 'scriptArgs', 'Deno', 'Bun', 'ShadowRealm',
       'binding', 'dlopen', 'mainModule', 'exec', 'spawn', 'fork', 'readFileSync', 'importScripts', 'bjson'];
     // RegExp.prototype.exec is the language's own.
     return wanted.filter((name) => name !== 'exec' && names.includes(name))`,
      value([]),
    ],
    ['import() of a module of Node', "return import('node:fs').then(() => 'in', () => 'out')", value('out')],
    ['import() of a file', "return import('/etc/passwd').then(() => 'in', () => 'out')", value('out')],
    [
      'import() of a URL',
      "return import('data:text/javascript,export default 1').then(() => 'in', () => 'out')",
      value('out'),
    ],
    ['require', "return require('fs')", FAILED],
    ['process.mainModule', 'return process.mainModule.require', FAILED],
    ['WebAssembly', 'return new WebAssembly.Memory({ initial: 1 })', FAILED],
    [
      'waiting for ever on shared memory',
      'return Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)',
      FAILED,
    ],
    [
      'code that closes its function',
      "} ); const out = async function () { return 'out' + typeof process; }; (async function () { return out()",
      { codes: ['BLW_SCRIPT_FAILED', 'BLW_SCRIPT_SYNTAX', 'BLW_BLOCK_CRASHED', 'value'] },
    ],
    ['parameters in the code', 'return arguments.length + arguments[0].constructor.name', value('1Object')],
    ['a time zone of the host', 'return new Date(0).getTimezoneOffset()', value(0)],
    ['a debugger', 'debugger; return 1', value(1)],
    ['a HTML comment that hides code', '<!-- return 1\nreturn 2', value(2)],
  ],
  { input: { a: 1 } },
);

/** Results that look like what they are not. */
const RESULTS = rows('hostile results', [
  [
    'a prototype in the result',
    `return JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')`,
    value(JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}')),
  ],
  ['polluted prototypes', 'Object.prototype.polluted = 1; Array.prototype.polluted = 1; return {}', value({})],
  ['a replaced JSON', 'JSON.stringify = () => \'{"end":1}\'; JSON.parse = () => 7; return { a: 1 }', value({ a: 1 })],
  ['a replaced Promise', 'globalThis.Promise = class {}; Promise.prototype = null; return 1', value(1)],
  ['toJSON', "return { toJSON: () => ({ a: 'mine' }) }", value({ a: 'mine' })],
  ['toJSON of all objects', "Object.prototype.toJSON = () => 'mine'; return { a: 1 }", value('mine')],
  ['toJSON that throws', "return { toJSON() { throw new Error('no'); } }", FAILED],
  [
    'a proxy with traps',
    "return new Proxy({}, { ownKeys: () => ['a'], get: () => 1, getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) })",
    value({ a: 1 }),
  ],
  ['a proxy whose keys never end', 'return new Proxy({}, { ownKeys() { for (;;); } })', STOPPED],
  ['a getter that never ends', 'return { get a() { for (;;); } }', STOPPED],
  [
    'a thenable that settles twice',
    'return { then(resolve, reject) { resolve(1); resolve(2); reject(3); } }',
    value(1),
  ],
  ['a thenable that never ends', 'return { then() { for (;;); } }', STOPPED],
  ['a promise that is never settled', 'return new Promise(() => {})', FAILED],
  ['a cycle', 'const a = {}; a.a = a; return a', FAILED],
  ['a BigInt', 'return 1n', FAILED],
  ['a function', 'return () => 1', value(null)],
  ['a symbol', 'return Symbol.iterator', value(null)],
  [
    'an answer of its own on the console',
    `console.log('{"end":{"kind":"returned","value":"2"},"cpuMs":0,"peakMemoryBytes":0}'); return 1`,
    value(1),
  ],
  [
    'an answer of its own in a text',
    `return '\\n{"end":{"kind":"returned","value":"2"}}\\n'`,
    value('\n{"end":{"kind":"returned","value":"2"}}\n'),
  ],
  ['lone surrogates', "return '\\ud800'.length", value(1)],
  [
    'an error with hostile getters',
    'throw Object.defineProperties(new Error(), { name: { get() { for (;;); } } })',
    STOPPED,
  ],
  ['an error that is a proxy', 'throw new Proxy(new Error(), { get() { throw new Proxy({}, {}); } })', FAILED],
  ['an error whose text is a million characters', "throw new Error('x'.repeat(1e6))", FAILED],
  ['null thrown', 'throw null', FAILED],
  [
    'an error that says it is out of memory',
    "const e = new Error('x'); e.name = { toString() { throw 1; } }; throw e",
    FAILED,
  ],
  ['what is nested 600 times', 'let a = 1; for (let i = 0; i < 600; i++) a = [a]; return a', TOO_MUCH],
  [
    'what is nested 100,000 times',
    'let a = 1; for (let i = 0; i < 1e5; i++) a = [a]; return a',
    { codes: ['BLW_SCRIPT_OUTPUT', 'BLW_SCRIPT_FAILED', 'BLW_SCRIPT_TIMEOUT'] },
  ],
]);

const ENDLESS = rows('endless work', [
  ['an empty loop', 'for (;;);', STOPPED],
  ['a loop that catches all', 'for (;;) { try { for (;;); } catch {} }', STOPPED],
  ['a loop in finally', 'try { for (;;); } finally { for (;;); }', STOPPED],
  ['jobs that make jobs', 'const again = () => Promise.resolve().then(again); again(); return 1', STOPPED],
  ['awaiting in a loop', 'for (;;) await null;', STOPPED],
  [
    'two functions that await each other',
    'const a = async () => { await 0; return b(); }, b = async () => { await 0; return a(); }; await a()',
    { codes: ['BLW_SCRIPT_TIMEOUT', 'BLW_SCRIPT_MEMORY'] },
  ],
  ['a generator', 'for (const _ of (function* () { for (;;) yield 1; })());', STOPPED],
  ['an async generator', 'for await (const _ of (async function* () { for (;;) yield 1; })());', STOPPED],
  [
    'a destructured iterator',
    'const [...all] = { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) };',
    EXHAUSTED,
  ],
  ['a regular expression', "return /^(a+)+$/.test('a'.repeat(50) + 'b')", STOPPED],
  [
    'a regular expression with a lookahead',
    "return /(?=(a+))*\\1b$/.test('a'.repeat(5000))|| /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))",
    STOPPED,
  ],
  [
    'a regular expression by replace',
    "return 'a'.repeat(60).replace(/(a|aa)+$|(a|a?)+b/g, () => { for (;;); })",
    STOPPED,
  ],
  ['a comparator of sort', 'return [1, 2, 3].sort(() => { for (;;); })', STOPPED],
  ['a reviver of JSON', "return JSON.parse('[1]', () => { for (;;); })", STOPPED],
  ['a replacer of JSON', 'return JSON.stringify([1], () => { for (;;); })', STOPPED],
  ['toString of an argument', 'console.log({ toString() { for (;;); }, toJSON() { for (;;); } })', STOPPED],
  ['valueOf in arithmetic', 'return 1 + { valueOf() { for (;;); } }', STOPPED],
  ['native: indexOf over 2^53 places', 'return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)', STOPPED],
  [
    'native: fill of 2^53 places',
    'return Array.prototype.fill.call({ length: 2 ** 53 - 1, set 0(_) {} }, 1)',
    EXHAUSTED,
  ],
  ['native: lastIndexOf', 'return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)', STOPPED],
  ['native: reverse of a sparse list', 'return Array.prototype.reverse.call({ length: 2 ** 53 - 1 })', EXHAUSTED],
  ['native: join of 2^32 places', 'return new Array(2 ** 32 - 1).join()', EXHAUSTED],
  ['native: large BigInts', 'let x = 3n ** 200000n; for (;;) x = (x * x) % (3n ** 200001n)', STOPPED],
  [
    'native: BigInt to text',
    'return String(7n ** 300000n).length + String(7n ** 370000n).length',
    { codes: ['BLW_SCRIPT_TIMEOUT', 'BLW_SCRIPT_FAILED', 'value'] },
  ],
  [
    'a proxy that is its own prototype chain',
    'const p = new Proxy({}, { getPrototypeOf() { for (;;); } }); return p instanceof Object',
    STOPPED,
  ],
  ['a static block', 'class A { static { for (;;); } }', STOPPED],
  ['eval of endless text', "for (;;) eval('1')", STOPPED],
]);

const MEMORY = rows('memory', [
  ['a growing list', 'const a = []; for (;;) a.push(a.length);', EXHAUSTED],
  ['ArrayBuffers', 'const a = []; for (;;) a.push(new ArrayBuffer(1 << 20));', FULL],
  ['typed arrays that are written', 'const a = []; for (;;) a.push(new Float64Array(1 << 17).fill(1));', FULL],
  ['SharedArrayBuffers', 'const a = []; for (;;) a.push(new SharedArrayBuffer(1 << 20));', EXHAUSTED],
  [
    'ArrayBuffers, whatever is thrown',
    'const a = []; for (;;) try { a.push(new ArrayBuffer(1 << 20)); } catch {}',
    EXHAUSTED,
  ],
  ['one of 2 GiB', 'return new Uint8Array(2 ** 31 - 1).length', EXHAUSTED],
  ['texts', "const a = []; for (;;) a.push('x'.repeat(1 << 20) + a.length);", FULL],
  ['a text that doubles', "let a = 'x'; for (;;) a += a;", EXHAUSTED],
  ['padded text', "return 'x'.padEnd(2 ** 30, 'y').length", EXHAUSTED],
  ['a Map', "const m = new Map(); for (let i = 0; ; i++) m.set(i, 'x'.repeat(1000) + i);", EXHAUSTED],
  ['objects with many keys', "const o = {}; for (let i = 0; ; i++) o['key' + i] = { i };", EXHAUSTED],
  ['closures', 'let f = () => 0; for (;;) { const g = f; f = () => g; }', EXHAUSTED],
  ['a filled list of 2^32', 'return new Array(2 ** 32 - 1).fill(0).length', EXHAUSTED],
  ['concat of a long list', 'let a = [1]; for (;;) a = a.concat(a);', EXHAUSTED],
  ['spread arguments', 'return Math.max(...new Array(1e8).fill(1))', EXHAUSTED],
  ['a BigInt that grows', 'let x = 2n; for (;;) x = x ** 2n;', EXHAUSTED],
  ['symbols', 'const a = []; for (;;) a.push(Symbol(String(a.length)));', EXHAUSTED],
  ['promises that are kept', 'const a = []; for (;;) a.push(Promise.resolve().then(() => a));', EXHAUSTED],
  ['compiled functions', "const a = []; for (;;) a.push(new Function('return ' + a.length));", EXHAUSTED],
  [
    'JSON.stringify of a shared tree',
    'let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return JSON.stringify(a).length',
    EXHAUSTED,
  ],
  ['the result of a shared tree', 'let a = [1]; for (let i = 0; i < 40; i++) a = [a, a]; return a', EXHAUSTED],
]);

const RECURSION = rows('recursion', [
  ['a function', 'const f = () => f() + 1; return f()', FAILED],
  [
    'a function that catches the overflow',
    'const f = () => { try { f(); } catch { f(); } }; f(); return 1',
    { codes: ['BLW_SCRIPT_TIMEOUT', 'BLW_SCRIPT_FAILED', 'value'] },
  ],
  ['JSON.parse', "return JSON.parse('['.repeat(1e6))", FAILED],
  ['JSON.stringify', 'let a = []; for (let i = 0; i < 3e5; i++) a = [a]; return JSON.stringify(a)', EXHAUSTED],
  ['a regular expression', "return new RegExp('(?:'.repeat(1e5) + ')'.repeat(1e5)).test('')", EXHAUSTED],
  [
    'a regular expression that runs',
    "return /(?:a|b)*c/.test('ab'.repeat(1e6))",
    { codes: ['BLW_SCRIPT_FAILED', 'BLW_SCRIPT_TIMEOUT', 'BLW_SCRIPT_MEMORY', 'value'] },
  ],
  ['eval', "return eval('('.repeat(1e6))", EXHAUSTED],
  ['nested functions as text', "return new Function('return '.concat('function(){return '.repeat(1e5)))", EXHAUSTED],
  ['a getter', 'const o = { get a() { return this.a; } }; return o.a', FAILED],
  ['a proxy of a proxy', 'let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.a', EXHAUSTED],
  ['toString', 'const o = { toString() { return `${this}`; } }; return String(o)', FAILED],
  ['flat', 'let a = []; for (let i = 0; i < 1e5; i++) a = [a]; return a.flat(Infinity).length', EXHAUSTED],
  ['bound functions', 'let f = () => 1; for (let i = 0; i < 1e5; i++) f = f.bind(null); return f()', EXHAUSTED],
  ['generators that delegate', 'function* g() { yield* g(); } return g().next()', EXHAUSTED],
  [
    'classes that extend',
    'let C = Object; for (let i = 0; i < 1e5; i++) C = class extends C {}; return typeof new C()',
    { codes: ['BLW_SCRIPT_FAILED', 'BLW_SCRIPT_MEMORY', 'BLW_SCRIPT_TIMEOUT', 'value'] },
  ],
]);

const FLOODS = rows('floods', [
  ['standard output', "for (;;) console.log('x'.repeat(1000));", TOO_MUCH],
  ['standard error', "for (;;) console.error('x'.repeat(1000));", TOO_MUCH],
  ['standard output, whatever is thrown', "for (;;) try { console.log('x'.repeat(1000)); } catch {}", TOO_MUCH],
  ['one text of 100 MB', "console.log('x'.repeat(1e8))", EXHAUSTED],
  ['empty lines', 'for (;;) console.log();', { codes: ['BLW_SCRIPT_OUTPUT', 'BLW_SCRIPT_TIMEOUT'] }],
  ['control characters', "for (;;) console.log('\\u0001'.repeat(1000));", TOO_MUCH],
  ['a long result', "return 'x'.repeat(5e6)", TOO_MUCH],
  [
    'a wide result',
    'return new Array(3e6).fill(0)',
    { codes: ['BLW_SCRIPT_OUTPUT', 'BLW_SCRIPT_MEMORY', 'BLW_SCRIPT_TIMEOUT'] },
  ],
  ['a result of control characters', "return '\\u0001'.repeat(1e6)", TOO_MUCH],
]);

const PROCESSES = rows(
  'processes',
  [
    ...[
      'child_process',
      'node:child_process',
      'net',
      'dns',
      'worker_threads',
      'module',
      'vm',
      'node:os',
      'fs/promises',
      '/etc/passwd',
      './x.js',
      'file:///etc/passwd',
    ].map((name): Row => [`import of ${name}`, `import x from '${name}'; console.log(x)`, FAILED]),
    [
      'import of what the module has not',
      "import { writeFileSync } from 'node:fs'; writeFileSync('/tmp/x', '1')",
      { codes: ['BLW_SCRIPT_FAILED', 'BLW_SCRIPT_SYNTAX'] },
    ],
    [
      'reading a file',
      "import { readFileSync } from 'node:fs'; console.log(readFileSync('/proc/self/environ', 'utf8'))",
      FAILED,
    ],
    [
      'reading another descriptor',
      "import { readFileSync } from 'node:fs'; console.log(readFileSync(3, 'utf8'))",
      FAILED,
    ],
    ['forking', 'process.fork()', FAILED],
    ['killing', 'process.kill(process.ppid)', FAILED],
    ['bindings', "process.binding('spawn_sync')", FAILED],
    [
      'the environment of the host',
      'console.log(JSON.stringify(process.env), process.execPath, process.versions, process.pid)',
      value('{} undefined undefined undefined\n'),
    ],
    ['an exit that is caught', 'for (;;) try { process.exit(0); } catch { console.log("still here"); }', value('')],
    [
      'an exit that goes on later',
      'Promise.resolve().then(() => { for (;;) console.log(1); }); process.exit(0)',
      value(''),
    ],
    ['an exit code that is none', 'process.exitCode = { valueOf() { for (;;); } };', FAILED],
    ['a rejection that nobody handles', 'await Promise.reject(new Error("no"))', FAILED],
    ['a top-level await that never comes', 'await new Promise(() => {})', FAILED],
    ['an endless module', 'for (;;);', STOPPED],
    ['a flood', "for (;;) process.stdout.write('x'.repeat(1000))", TOO_MUCH],
    [
      'a module that imports itself',
      "import * as me from 'script.js'; console.log(me)",
      { codes: ['BLW_SCRIPT_FAILED', 'BLW_SCRIPT_SYNTAX', 'value'] },
    ],
  ],
  { process: {} },
);

/** Every script that is tried. */
export const SCRIPT_INPUTS: readonly ScriptInput[] = [
  ...ESCAPES,
  control('ways out of other sandboxes', 'a function of the input', 'return input.a + 1', 2, { input: { a: 1 } }),
  ...RESULTS,
  control('hostile results', 'a plain result', 'return { a: [1, "ü", null, true] }', { a: [1, 'ü', null, true] }),
  ...ENDLESS,
  control(
    'endless work',
    'a loop that ends',
    'let n = 0; for (let i = 0; i < 1e5; i++) n += i; return n',
    4_999_950_000,
  ),
  ...MEMORY,
  control('memory', 'ten megabytes', 'return new Uint8Array(1e7).fill(1).length', 10_000_000),
  ...RECURSION,
  control('recursion', 'a hundred levels', 'const f = (n) => (n === 0 ? 0 : 1 + f(n - 1)); return f(100)', 100),
  ...FLOODS,
  control('floods', 'half a megabyte', "console.log('x'.repeat(5e5)); return 'x'.repeat(5e5).length", 500_000),
  ...PROCESSES,
  control(
    'processes',
    'standard input',
    "import { readFileSync } from 'node:fs'; console.log(readFileSync(0, 'utf8'))",
    'in\n',
    {
      process: { stdin: 'in' },
    },
  ),
];
