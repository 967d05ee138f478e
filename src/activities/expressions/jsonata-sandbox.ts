import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createContext, runInContext, Script } from 'node:vm';
import type { GuestResult } from './jsonata-guest';

/** What may be loaded into the context; none of it needs Node. */
const PACKAGES: readonly string[] = ['jsonata', 're2js'];

/** JSONata's base64 functions ask a browser's window; those of Node are not in the context. */
const PREPARATION = `
  'use strict';
  // "__proto__" is a name like any other, and what all objects share cannot be added to.
  delete Object.prototype.__proto__;
  for (const shared of [Object, Array, Function, String, Number, Boolean, RegExp, Promise]) Object.seal(shared.prototype);
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  globalThis.window = {
    btoa(text) {
      let out = '';
      for (let at = 0; at < text.length; at += 3) {
        const [a, b, c] = [0, 1, 2].map((offset) => text.charCodeAt(at + offset) & 255);
        const left = text.length - at;
        out += ALPHABET[a >> 2] + ALPHABET[((a & 3) << 4) | (left > 1 ? b >> 4 : 0)];
        out += left > 1 ? ALPHABET[((b & 15) << 2) | (left > 2 ? c >> 6 : 0)] : '=';
        out += left > 2 ? ALPHABET[c & 63] : '=';
      }
      return out;
    },
    atob(text) {
      let out = '';
      let bits = 0;
      let held = 0;
      for (const char of text.replaceAll('-', '+').replaceAll('_', '/')) {
        const value = ALPHABET.indexOf(char);
        if (value === -1) continue;
        held = (held << 6) | value;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out += String.fromCharCode((held >> bits) & 255);
      }
      return out;
    },
  };
`;

/** Evaluates JSONata; see {@link createJsonataSandbox}. */
export type EvaluateJsonata = (expression: string, data: string, variables: string) => Promise<GuestResult>;

/**
 * JSONata in a context of its own: no process, no require, no timers, no code from text. Node calls such a context no
 * boundary against hostile JavaScript; here it is the second one, behind JSONata, which has no JavaScript in it.
 */
export function createJsonataSandbox(): EvaluateJsonata {
  const context = createContext({}, { codeGeneration: { strings: false, wasm: false } });
  runInContext(PREPARATION, context);
  const loaded = new Map<string, unknown>();
  const outside = createRequire(__filename);
  const load = (file: string): unknown => {
    const text = readFileSync(file, 'utf8');
    const wrapper = new Script(`(function (exports, require, module) {${text}\n})`, { filename: file });
    const module: { exports: unknown } = { exports: {} };
    const inside = (name: string): unknown => {
      if (!PACKAGES.includes(name)) throw new Error(`${name} cannot be loaded beside JSONata`);
      if (!loaded.has(name)) loaded.set(name, load(outside.resolve(name)));
      return loaded.get(name);
    };
    (wrapper.runInContext(context) as (...args: unknown[]) => void)(module.exports, inside, module);
    return module.exports;
  };
  const guest = load(join(__dirname, 'jsonata-guest.js')) as { evaluate: EvaluateJsonata };
  return guest.evaluate;
}
