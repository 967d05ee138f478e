import { readFile } from 'node:fs/promises';
import type { ThreadData } from './protocol';

/** How jq-wasm embeds its binary. */
const EMBEDDED = /data:application\/octet-stream;base64,([A-Za-z0-9+/=]{10000,})/;

/**
 * Reads jq from its package and compiles it, once a process: its threads share the compiled code, so that one starts in
 * milliseconds. The package's own wrapper copies its input once a byte and keeps its state after an error; only its
 * runtime (emscripten's) is used.
 */
export async function loadJq(): Promise<ThreadData['jq']> {
  const text = await readFile(require.resolve('jq-wasm/dist/build/jq.js'), 'utf8');
  const binary = EMBEDDED.exec(text)?.[1];
  if (binary === undefined) throw new Error('jq-wasm has no WebAssembly binary where version 1.0.1 has it');
  const module = await WebAssembly.compile(Buffer.from(binary, 'base64'));
  return { module, glue: text.replace(EMBEDDED, '') };
}
