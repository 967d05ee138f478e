import { MOST_TOLD, type ScriptError } from './protocol';

const MAX_STACK_CHARACTERS = 4_000;

/** What is told of something that a script threw: `described` is the JSON that the prelude makes of it. `missingModule`: the first that was imported and is not there. */
export function readThrown(
  described: string,
  { code, missingModule }: { code: string; missingModule: string | undefined },
): ScriptError {
  const [name = '', message = '', stack = ''] = textsIn(described);
  const line = lineIn(stack.slice(0, MAX_STACK_CHARACTERS), code) ?? lineOfImport(missingModule, code);
  return {
    name: name.slice(0, MOST_TOLD.nameCharacters),
    message: `${message.slice(0, MOST_TOLD.messageCharacters)}${hintFor(message)}`,
    ...(line === undefined ? {} : { line }),
  };
}

/** The texts of a list in JSON. The prelude's own, but a script can have changed what that is made with. */
function textsIn(json: string): string[] {
  try {
    const list: unknown = JSON.parse(json);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : [];
  } catch {
    return [];
  }
}

/** The topmost line of the script in a stack trace. */
function lineIn(stack: string, code: string): number | undefined {
  const [, digits] = /script\.js:(\d+)/.exec(stack) ?? [];
  if (digits === undefined) return undefined;
  // What is missing at its end is missed in the line behind it.
  return Math.min(Number(digits), code.trimEnd().split('\n').length);
}

/** The engine does not say where a module is imported that there is not. */
function lineOfImport(name: string | undefined, code: string): number | undefined {
  if (name === undefined) return undefined;
  const index = code
    .split('\n')
    .findIndex((line) => [`'${name}'`, `"${name}"`, `node:${name}`].some((text) => line.includes(text)));
  return index === -1 ? undefined : index + 1;
}

/** What Node and browsers have beside the language, and scripts have not. */
const NOT_THERE = new Map([
  ...['require', 'module', 'exports'].map(
    (name) => [name, 'processes (run: script) import node:fs and node:process'] as const,
  ),
  ...['setTimeout', 'setInterval', 'setImmediate'].map((name) => [name, 'scripts have no timers'] as const),
  ...['fetch', 'XMLHttpRequest', 'WebSocket'].map(
    (name) => [name, 'scripts have no network; call http in a step of its own'] as const,
  ),
  ...[
    'Buffer',
    'TextEncoder',
    'TextDecoder',
    'URL',
    'structuredClone',
    'Intl',
    'atob',
    'btoa',
    'window',
    'document',
    'crypto',
  ].map((name) => [name, 'scripts have the language, and what docs/scripts.md names'] as const),
  ['process', 'functions (call: script.run) have none; run: script has'],
]);

/** What to do about a name that is not there. */
function hintFor(message: string): string {
  const [, name = ''] = /^'(\w+)' is not defined$/.exec(message) ?? [];
  const hint = NOT_THERE.get(name);
  return hint === undefined ? '' : `: ${hint}`;
}
