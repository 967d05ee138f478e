import { createContext, runInContext } from 'node:vm';
import type { ThreadData } from './protocol';

/** What a run of jq gave. */
export interface JqRun {
  /** Exit status; undefined where jq broke off, e.g. for lack of memory. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** It wrote more than it may. */
  readonly isOverfull: boolean;
}

/** Input and output of one run. */
export interface JqOptions {
  readonly args: readonly string[];
  readonly stdin: string;
  readonly maxBytes: number;
  /** Told after each complete line of output, with their number. */
  readonly onLines: (lines: number) => void;
}

/** Where the runtime keeps the functions that jq imports, by the names that jq-wasm 1.0.1 gave them. */
type Imports = Record<string, Record<string, (...args: never[]) => unknown>>;

type CreateModule = (options: {
  print: () => void;
  instantiateWasm: (
    imports: Imports,
    receive: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
  ) => object;
}) => Promise<{ callMain(args: string[]): number }>;

/** POSIX error numbers of emscripten's system calls. */
const EBADF = 8;
const ENOENT = 44;

/** More than any message; the rest of it is not kept. */
const MAX_STDERR_BYTES = 65_536;

class Overfull extends Error {}

interface Prepared {
  readonly main: (args: string[]) => number;
  readonly io: StandardStreams;
}

/**
 * Runs jq, each time in a new instance: nothing of one run is left for the next, whatever happened to its memory. The
 * runtime lives in a context without Node's globals and has no file, no environment and no time zone to offer.
 */
export class JqRuntime {
  readonly #create: CreateModule;
  #next: Promise<Prepared> | undefined;

  constructor(private readonly jq: ThreadData['jq']) {
    const quiet = { error: () => undefined, log: () => undefined };
    const context = createContext({ console: quiet }, { codeGeneration: { strings: false, wasm: true } });
    this.#create = runInContext(`${jq.glue}\n;jq`, context) as CreateModule;
  }

  /** Makes the instance for the next run ready, while nobody waits. */
  prepare(): void {
    this.#next ??= this.#instantiate();
  }

  async run({ args, stdin, maxBytes, onLines }: JqOptions): Promise<JqRun> {
    this.prepare();
    const next = this.#next as Promise<Prepared>;
    this.#next = undefined;
    const { main, io } = await next;
    io.begin(stdin, maxBytes, onLines);
    try {
      const status = main([...args]);
      return { status, isOverfull: false, ...io.written() };
    } catch (error) {
      // An abort of jq's, a trap, a stack that is full: the instance is lost, which does not matter.
      return { status: undefined, isOverfull: error instanceof Overfull, ...io.written() };
    }
  }

  async #instantiate(): Promise<Prepared> {
    const io = new StandardStreams();
    const runtime = await this.#create({
      print: () => undefined,
      instantiateWasm: (imports, receive) => {
        const functions = imports.a;
        if (functions === undefined) throw new Error('jq-wasm does not import what version 1.0.1 does');
        Object.assign(functions, io.imports(), { l: functions.k });
        const instance = new WebAssembly.Instance(this.jq.module, imports);
        io.memory = instance.exports.E as WebAssembly.Memory;
        receive(instance, this.jq.module);
        return instance.exports;
      },
    });
    return { main: (args) => runtime.callMain(args), io };
  }
}

/** The three standard streams of one run, and the refusal of all else. */
class StandardStreams {
  memory: WebAssembly.Memory | undefined;
  #stdin: Uint8Array = new Uint8Array();
  #read = 0;
  #stdout: Uint8Array[] = [];
  #stdoutBytes = 0;
  #stderr: Uint8Array[] = [];
  #stderrBytes = 0;
  #maxBytes = 0;
  #lines = 0;
  #onLines: (lines: number) => void = () => undefined;

  begin(stdin: string, maxBytes: number, onLines: (lines: number) => void): void {
    this.#stdin = Buffer.from(stdin);
    this.#maxBytes = maxBytes;
    this.#onLines = onLines;
  }

  written(): { stdout: string; stderr: string } {
    return { stdout: Buffer.concat(this.#stdout).toString(), stderr: Buffer.concat(this.#stderr).toString() };
  }

  /** fd_read, fd_write, openat, environ_sizes_get, environ_get, tzset. */
  imports(): Record<string, (...args: number[]) => number> {
    return {
      g: (fd = -1, vectors = 0, count = 0, result = 0) => (fd === 0 ? this.#fill(vectors, count, result) : EBADF),
      d: (fd = -1, vectors = 0, count = 0, result = 0) => this.#take(fd, vectors, count, result),
      f: () => -ENOENT,
      j: (count = 0, size = 0) => {
        this.#view().setUint32(count, 0, true);
        this.#view().setUint32(size, 0, true);
        return 0;
      },
      i: () => 0,
      // The worker's time zone is none of an expression's business: memory is zero already, and zero is UTC.
      v: () => 0,
    };
  }

  #fill(vectors: number, count: number, result: number): number {
    const before = this.#read;
    for (const buffer of this.#buffers(vectors, count)) {
      const part = this.#stdin.subarray(this.#read, this.#read + buffer.length);
      buffer.set(part);
      this.#read += part.length;
      if (part.length < buffer.length) break;
    }
    this.#view().setUint32(result, this.#read - before, true);
    return 0;
  }

  #take(fd: number, vectors: number, count: number, result: number): number {
    let bytes = 0;
    for (const buffer of this.#buffers(vectors, count)) {
      bytes += buffer.length;
      if (fd === 1) this.#takeOutput(buffer.slice());
      else if (this.#stderrBytes < MAX_STDERR_BYTES) {
        this.#stderr.push(buffer.slice());
        this.#stderrBytes += buffer.length;
      }
    }
    this.#view().setUint32(result, bytes, true);
    return 0;
  }

  #takeOutput(chunk: Uint8Array): void {
    this.#stdoutBytes += chunk.length;
    if (this.#stdoutBytes > this.#maxBytes) throw new Overfull();
    this.#stdout.push(chunk);
    const before = this.#lines;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, at + 1)) this.#lines += 1;
    if (this.#lines > before) this.#onLines(this.#lines);
  }

  *#buffers(vectors: number, count: number): Generator<Uint8Array> {
    for (let index = 0; index < count; index += 1) {
      const view = this.#view();
      const at = vectors + index * 8;
      yield new Uint8Array(view.buffer, view.getUint32(at, true), view.getUint32(at + 4, true));
    }
  }

  #view(): DataView {
    if (this.memory === undefined) throw new Error('jq is not instantiated yet');
    return new DataView(this.memory.buffer);
  }
}

const LINE_FEED = 10;
