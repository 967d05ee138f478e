import { readFileSync } from 'node:fs';
import variant from '@jitl/quickjs-wasmfile-release-sync';
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
} from 'quickjs-emscripten-core';

const PAGE_BYTES = 65_536;
const PAGES_PER_MB = 16;

/** Pages that QuickJS's build begins with: its own stack and data (emscripten's INITIAL_MEMORY). */
const INITIAL_PAGES = 256;

/** Of QuickJS's stack, which is in its memory. Deeper recursion ends with an error that scripts can catch. */
const MAX_STACK_BYTES = 256 * 1024;

/** QuickJS with a memory of its own. */
export interface Engine {
  readonly context: QuickJSContext;
  readonly memoryMb: number;
  /** True where its memory is about used up. */
  isFull(): boolean;
}

/** What Node has and its types do not say: TypeScript has it with the DOM only. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => WebAssembly.Module;
  readonly Memory: new (limits: { initial: number; maximum: number }) => WebAssembly.Memory & { buffer: ArrayBuffer };
}

const { Module, Memory } = WebAssembly as unknown as WebAssemblyApi;

let compiled: WebAssembly.Module | undefined;

/**
 * Makes an engine whose memory cannot grow past the limit: the WebAssembly memory is made with that maximum. QuickJS's own limit
 * (`setMemoryLimit`) is no limit in this build: with 128 MiB set, a script got 2 GiB, measured.
 */
export async function createEngine(memoryMb: number): Promise<Engine> {
  compiled ??= new Module(readFileSync(require.resolve('@jitl/quickjs-wasmfile-release-sync/wasm')));
  const maximum = Math.max(INITIAL_PAGES, memoryMb * PAGES_PER_MB);
  const memory = new Memory({ initial: INITIAL_PAGES, maximum });
  const wasm = await newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmModule: compiled, wasmMemory: memory }));
  const context = wasm.newContext();
  context.runtime.setMemoryLimit(memoryMb * PAGES_PER_MB * PAGE_BYTES);
  context.runtime.setMaxStackSize(MAX_STACK_BYTES);
  // Emscripten grows a memory by a fifth, so that a full one may end a good part before its maximum.
  return { context, memoryMb, isFull: () => memory.buffer.byteLength >= 0.75 * maximum * PAGE_BYTES };
}

/** The text of a string in the engine; undefined where it is longer than so many bytes, which is asked before it is copied. */
export function readText(context: QuickJSContext, handle: QuickJSHandle, maxBytes: number): string | undefined {
  if (context.typeof(handle) !== 'string') return '';
  const length = context.getProp(handle, 'length').consume((value) => context.getNumber(value));
  if (length > maxBytes) return undefined;
  const text = context.getString(handle);
  return Buffer.byteLength(text) > maxBytes ? undefined : text;
}
