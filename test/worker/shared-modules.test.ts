import { existsSync } from 'node:fs';
import { SHARED } from '../../src/worker/workflow-bundle-options';
import { codeOf, fileOf, importsOf, stateOf, wayTo } from '../helpers/module-state';

/** What may change, or may have something within that does, and why no flow finds out. Its module, and its name there. */
const HARMLESS: Readonly<Record<string, string>> = {
  'dsl/encoded-json: encoder': 'keeps nothing of what it encodes',
  'dsl/encoded-json: kept':
    'a cache by the identity of values, each of them of one flow; the same bytes come out without it',
  'dsl/encoded-json: keptText': 'a cache of one text, asked for by that text; the same bytes come out without it',
  'dsl/error-codes: exports.ERROR_CODES': 'is as it was written down: what is exported is frozen, and all within it',
  'dsl/expressions/cel: runtimeEnvironment': 'what expressions may name, all of it registered before it has its name',
  'dsl/expressions/jq-text: COMMENT': 'is told where to begin before each use',
  'dsl/expressions/jq-text: NAME': 'is told where to begin before each use',
  'dsl/expressions/jsonata-text: WORD': 'is told where to begin before each use',
  'dsl/expressions/work-limit: current':
    'is set by each evaluation before it spends anything; none waits, none is within another',
  'dsl/inline-values: marked': 'marks values by their identity, each of them of one flow',
  'dsl/placeholders: PLACEHOLDER': 'is for replace() alone, which begins at 0 and leaves 0',
  'dsl/regular-expression: compiled': 'a cache, with a bound, of what follows from its key alone',
  'workflows/clock: tellTime': 'asks the flow that runs when it is called',
  'workflows/events/event-activities: exports.eventActivities': 'asks the flow that runs when it is called',
  'workflows/flow-news: flowNews': 'tells by the flow that runs when it is called',
  'workflows/quota/quota-activities: exports.quotaActivities': 'asks the flow that runs when it is called',
};

/** What the modules load beside each other, and is not looked through here: another one is to be, by hand. */
const PACKAGES: readonly string[] = [
  // Its one lexer is set at the beginning of each parse; its registries keep types, and which overloads take them, by what these are.
  '@marcbachmann/cel-js/evaluator',
  // The SDK shares them itself: a flow's state is in the activator of the one that runs.
  '@temporalio/common',
  '@temporalio/workflow',
  // Decodes its tables on first use; room that it works in is cleared before it is used again.
  're2js',
];

/** Modules that have a flow's state on purpose. */
const OF_A_FLOW: readonly string[] = [
  'workflows/flow-owner',
  'workflows/local-rounds',
  'workflows/owned-payload-converter',
  'workflows/tracing/interceptors',
  'workflows/tracing/span-sink',
];

describe('what is loaded once for all flows', () => {
  const { modules, packages } = importsOf(SHARED);
  const names = [...modules.keys()];

  it('is all that its modules import', () => {
    expect(names).toEqual(expect.arrayContaining([...SHARED, 'dsl/errors', 'workflows/drive']));
    expect([...packages].sort()).toEqual(PACKAGES);
  });

  it('has no module that holds the state of a flow', () => {
    // Where they are called otherwise by now, this test would say nothing.
    expect(OF_A_FLOW.filter((name) => !existsSync(fileOf(name)))).toEqual([]);
    expect(OF_A_FLOW.filter((name) => modules.has(name)).map((name) => wayTo(name, modules))).toEqual([]);
  });

  it('changes nothing of its own afterwards but what no flow finds out', () => {
    const found = names.flatMap((name) => stateOf(codeOf(name)).map((state) => `${name}: ${state}`));
    // Both ways: what is gone from the modules goes from the list.
    expect(found.sort()).toEqual(Object.keys(HARMLESS).sort());
  });
});

describe('the search for what changes', () => {
  it.each([
    ['a variable', 'let a = 1; function f() { a = 2; }', ['a']],
    ['a variable that is set later', 'var a, b; const f = () => ([a, { b }] = g());', ['a', 'b']],
    ['a collection', 'const a = new Map(); const f = (k) => a.set(k, 1);', ['a']],
    ['a collection that began with something', 'const a = new Set([1]); const f = (k) => a.add(k);', ['a']],
    ['a collection that others see', 'exports.a = new Map();', ['exports.a']],
    ['a collection within a value', 'const a = { all: { of: new WeakMap() } };', ['a']],
    ['a collection of another module', "const b_1 = require('./b'); const f = () => b_1.all.clear();", ['b_1']],
    ['a list', 'const a = []; const f = () => g(a);', ['a']],
    ['a list that began with something', 'const a = [1]; function f() { a?.push(2); a[0] = 3; }', ['a']],
    ['an object', 'const a = {}; const f = () => g(a);', ['a']],
    ['an object that began with something', 'const a = { b: { c: 1 } }; const f = () => { a.b.c++; };', ['a']],
    ['a property that is taken away', 'const a = { b: 1 }; const f = () => delete a.b;', ['a']],
    ['an object that is filled', 'const a = { b: 1 }; const f = (c) => Object.assign(a, c);', ['a']],
    ['an export', 'exports.a = 0; function f() { exports.a += 1; }', ['exports']],
    ['a property of a function', 'function f() { f.calls = 1; }', ['f']],
    ['a property of a class', 'class A { static #b = 1; }', ['A']],
    ['what a class does when it is made', 'class A { static { f(); } }', ['A']],
    ['a class in a value', 'const a = class { static b = 1; };', ['a']],
    ['what a call gives, and what it remembers', 'const a = (() => { let n = 0; return () => ++n; })();', ['a']],
    ['what a class gives', 'class A {} const { b } = new A();', ['b']],
    ['a pattern that remembers where it is', 'const a = /b/g; const c = [/d/uy]; const e = /f/i;', ['a', 'c']],
    ['a pattern of a text', "const a = new RegExp('b', 'g');", ['a']],
    ['what is global', 'function f() { globalThis.a = 1; Error.b = 2; }', ['Error', 'globalThis']],
  ])('finds %s', (_, code, expected) => {
    expect(stateOf(code)).toEqual(expected);
  });

  it.each([
    ['constants', "const a = 1, b = ['c'], d = { e: 1, f: () => new Map() }, g = /h/i; exports.a = a;"],
    ['collections that are only read', 'const a = new Set([1]); const f = (b) => a.has(b) || a.size > 1;'],
    ['what functions have', 'function f() { let a = 1; a = 2; const b = new Map(); b.set(a, /c/g); b.d = []; }'],
    [
      'what hides a constant',
      'const a = { b: 1 }; function f(a) { a.b = 2; } const g = () => { const a = []; a.push(1); };',
    ],
    ['what an instance has', 'class A { b = new Map(); #c = 1; static d() {} e() { this.#c = 2; this.b.set(1, 2); } }'],
    ['imports, and what they are called', "const a_1 = require('./a'); const f = () => (0, a_1.b)(a_1.set(1));"],
    [
      'what is made while it is loaded',
      "const a = { b: 1 }; for (const c of ['d']) a[c] = 1; exports.f = f; function f() {}",
    ],
  ])('leaves alone %s', (_, code) => {
    expect(stateOf(code)).toEqual([]);
  });
});
