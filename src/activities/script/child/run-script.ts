import type { QuickJSContext, QuickJSHandle } from 'quickjs-emscripten-core';
import { type Engine, readText } from './engine';
import { MODULES, PRELUDE } from './prelude';
import type { ScriptEnd, ScriptError, ScriptJob, ScriptStreams } from './protocol';

/** Name of the script in its own stack traces. */
const FILE_NAME = 'script.js';

/** What the engine calls the code of a function that was made from text. */
const BODY_NAME = '<input>';

/** Lines that the constructor of functions puts before a body (ECMA-262, CreateDynamicFunction). */
const LINES_BEFORE_BODY = 2;

/** What is told of the streams of a script that failed. */
const MAX_TAIL_CHARACTERS = 2_000;

/** What is told of an error. */
const MAX_NAME_CHARACTERS = 100;
const MAX_MESSAGE_CHARACTERS = 1_000;
const MAX_STACK_CHARACTERS = 4_000;

/** What a module calls first: an error before it is one of its text. In the script's first line, so that lines stay what they are. */
const BEGIN = 'beginScript';

/** Jobs between two looks at the clock: a chain of short ones may pass the engine's own looks by. */
const JOBS_AT_ONCE = 100;

/** Why a script is stopped from outside; it cannot catch that. */
type Stop = Extract<ScriptEnd, { kind: 'cpu' | 'output' }> | { readonly kind: 'exit'; readonly code: number };

/** Runs one script to its end. */
export function runScript(engine: Engine, job: ScriptJob): ScriptEnd {
  const run = new ScriptRun(engine, job);
  try {
    return run.run();
  } catch (error) {
    return run.brokenBy(error);
  }
}

/** Compiles a script and runs nothing of it: how it would end before its first line; undefined: it compiles. */
export function compileScript(engine: Engine, job: ScriptJob): ScriptEnd | undefined {
  return new ScriptRun(engine, job).compile();
}

class ScriptRun {
  readonly #context: QuickJSContext;
  readonly #prelude: QuickJSHandle;
  readonly #streams = ['', '', ''];
  readonly #sizes = [0, 0, 0];
  readonly #begun = process.cpuUsage();
  readonly #parent = process.ppid;
  #stop: Stop | undefined;
  /** A module was compiled and linked. */
  #hasBegun = false;

  constructor(
    private readonly engine: Engine,
    private readonly job: ScriptJob,
  ) {
    this.#context = engine.context;
    this.#context.runtime.setInterruptHandler(() => this.#isStopped());
    this.#prelude = this.#startPrelude();
  }

  run(): ScriptEnd {
    return this.job.kind === 'function' ? this.#runFunction(this.job) : this.#runProcess(this.job);
  }

  /**
   * How a script ended in which the engine gave way: recursion may use up the stack of this process before the engine's own, and native code may
   * run into the end of its memory. The engine is not used any more. What a script does to it, it does again.
   */
  brokenBy(error: unknown): ScriptEnd {
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
    // WebAssembly.RuntimeError; Node's types do not have it.
    if (name === 'RuntimeError' && this.engine.isFull()) return { kind: 'memory' };
    return this.#threw({ name, message: message.slice(0, MAX_MESSAGE_CHARACTERS) });
  }

  compile(): ScriptEnd | undefined {
    const { job } = this;
    if (job.kind === 'process') {
      this.#becomeProcess(job);
      return this.#compileOnly(moduleOf(job), FILE_NAME, 'module');
    }
    // The constructor of functions would run what stands behind a brace that closes its function; that of a method it does not close.
    const { code } = job;
    return (
      this.#compileOnly(`(async function anonymous(input\n) {\n${code}\n})`, BODY_NAME, 'global') ??
      this.#compileOnly(`({ async anonymous(input\n) {\n${code}\n} })`, BODY_NAME, 'global')
    );
  }

  #compileOnly(text: string, file: string, type: 'global' | 'module'): ScriptEnd | undefined {
    const { error } = this.#context.evalCode(text, file, { type, compileOnly: true });
    return error === undefined ? undefined : this.#failed(error, { isSyntax: true });
  }

  #runFunction({ code, input, limits }: Extract<ScriptJob, { kind: 'function' }>): ScriptEnd {
    const compiled = this.#call('compile', this.#text(code));
    if ('error' in compiled) return this.#failed(compiled.error, { isSyntax: true });
    const called = this.#call('call', compiled.value, this.#text(input));
    if ('error' in called) return this.#failed(called.error);
    const settled = this.#settle(called.value);
    if ('kind' in settled) return settled;
    if ('error' in settled) return this.#failed(settled.error);
    const encoded = this.#call('encode', settled.value);
    if ('error' in encoded) return this.#failed(encoded.error);
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    const value = readText(this.#context, encoded.value, limits.maxResultBytes);
    return value === undefined ? { kind: 'output', of: 'result' } : { kind: 'returned', value };
  }

  #runProcess(job: Extract<ScriptJob, { kind: 'process' }>): ScriptEnd {
    const context = this.#context;
    const exitCode = this.#becomeProcess(job);
    const evaluated = context.evalCode(moduleOf(job), FILE_NAME, { type: 'module' });
    if (evaluated.error !== undefined && !this.#hasBegun) return this.#failed(evaluated.error, { isSyntax: true });
    const settled = evaluated.error === undefined ? this.#settle(evaluated.value) : { error: evaluated.error };
    if ('kind' in settled) return settled;
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    if ('error' in settled) {
      const end = this.#failed(settled.error);
      if (end.kind !== 'threw') return end;
      this.#call('complain', settled.error);
      return this.#exited(1, end.error);
    }
    const code = context.callFunction(exitCode, context.undefined);
    if (code.error !== undefined) return this.#failed(code.error);
    return this.#exited(context.getNumber(code.value));
  }

  /** Runs what the script left to do later, until its promise is settled and nothing is left. */
  #settle(promise: QuickJSHandle): { value: QuickJSHandle } | { error: QuickJSHandle } | ScriptEnd {
    const { runtime } = this.#context;
    while (runtime.hasPendingJob() && !this.#isStopped()) {
      // What a job throws is its promise's business; that it was stopped is seen above.
      runtime.executePendingJobs(JOBS_AT_ONCE).dispose();
    }
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    const state = this.#context.getPromiseState(promise);
    if (state.type === 'pending') return { kind: 'unsettled' };
    return state.type === 'fulfilled' ? { value: state.value } : { error: state.error };
  }

  #becomeProcess({ arguments: args, environment, stdin }: Extract<ScriptJob, { kind: 'process' }>): QuickJSHandle {
    const context = this.#context;
    const given = { argv: ['node', FILE_NAME, ...args], env: environment, stdin };
    const exitCode = this.#must(this.#call('becomeProcess', this.#text(JSON.stringify(given))));
    const begin = context.newFunction(BEGIN, () => {
      this.#hasBegun = true;
    });
    context.setProp(context.global, BEGIN, begin);
    context.runtime.setModuleLoader(
      (name) =>
        MODULES.get(name) ?? {
          error: new Error(`there is no module "${name}": scripts can import node:fs and node:process`),
        },
      (_, name) => name.replace(/^node:/, ''),
    );
    const imports = [...MODULES.keys()].map((name) => `import '${name}';`).join('');
    context.evalCode(imports, 'imports.js', { type: 'module' }).dispose();
    this.#call('seal');
    return exitCode;
  }

  #startPrelude(): QuickJSHandle {
    const context = this.#context;
    const write = context.newFunction('write', (stream, text) => {
      this.#write(context.getNumber(stream), text);
    });
    const exit = context.newFunction('exit', (code) => {
      this.#stop ??= { kind: 'exit', code: context.getNumber(code) };
      throw new Error('the script has ended');
    });
    const start = context.unwrapResult(context.evalCode(PRELUDE, 'prelude.js'));
    return context.unwrapResult(context.callFunction(start, context.undefined, write, exit));
  }

  #write(stream: number, handle: QuickJSHandle): void {
    if (this.#stop !== undefined) return;
    const { maxStreamBytes } = this.job.limits;
    const text = readText(this.#context, handle, maxStreamBytes - (this.#sizes[stream] ?? 0));
    if (text === undefined) {
      this.#stop = { kind: 'output', of: stream === 1 ? 'stdout' : 'stderr' };
      throw new Error('the script wrote too much');
    }
    this.#streams[stream] += text;
    this.#sizes[stream] = (this.#sizes[stream] ?? 0) + Buffer.byteLength(text);
  }

  /** Called by the engine again and again while it works: true ends the script, whatever it catches. */
  #isStopped(): boolean {
    if (this.#stop !== undefined) return true;
    // Nobody waits for the answer any more.
    if (process.ppid !== this.#parent) process.exit(1);
    const { user, system } = process.cpuUsage(this.#begun);
    if ((user + system) / 1_000 >= this.job.limits.cpuMs) this.#stop = { kind: 'cpu' };
    return this.#stop !== undefined;
  }

  #stopped(stop: Stop): ScriptEnd {
    return stop.kind === 'exit' ? this.#exited(stop.code) : stop;
  }

  #exited(code: number, error?: ScriptError): ScriptEnd {
    const stop = this.#stop;
    if (stop !== undefined && stop.kind !== 'exit') return stop;
    // As of a process: the lowest byte.
    return { kind: 'exited', code: code & 0xff, ...this.#read(), ...(error === undefined ? {} : { error }) };
  }

  #read(): ScriptStreams {
    const [, stdout = '', stderr = ''] = this.#streams;
    return { stdout, stderr };
  }

  #failed(thrown: QuickJSHandle, { isSyntax = false } = {}): ScriptEnd {
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    const error = this.#describe(thrown);
    // What it threw may be code too.
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    if (error.message === 'out of memory' || (error.name === '' && this.engine.isFull())) return { kind: 'memory' };
    if (isSyntax && error.name === 'SyntaxError') return { kind: 'syntax', error };
    return this.#threw(error);
  }

  #threw(error: ScriptError): ScriptEnd {
    const { stdout, stderr } = this.#read();
    return {
      kind: 'threw',
      error,
      stdout: stdout.slice(-MAX_TAIL_CHARACTERS),
      stderr: stderr.slice(-MAX_TAIL_CHARACTERS),
    };
  }

  #describe(thrown: QuickJSHandle): ScriptError {
    const described = this.#call('describe', thrown);
    const text = 'error' in described ? '' : (readText(this.#context, described.value, 100_000) ?? '');
    const [name = '', message = '', stack = ''] = textsIn(text);
    const line = lineIn(stack.slice(0, MAX_STACK_CHARACTERS), this.job.code);
    return {
      name: name.slice(0, MAX_NAME_CHARACTERS),
      message: message.slice(0, MAX_MESSAGE_CHARACTERS),
      ...(line === undefined ? {} : { line }),
    };
  }

  #call(name: string, ...args: QuickJSHandle[]): { value: QuickJSHandle } | { error: QuickJSHandle } {
    const result = this.#context.callMethod(this.#prelude, name, args);
    return result.error === undefined ? { value: result.value } : { error: result.error };
  }

  #must(result: { value: QuickJSHandle } | { error: QuickJSHandle }): QuickJSHandle {
    if ('value' in result) return result.value;
    throw new Error(`the engine is not as it should be: ${this.#describe(result.error).message}`);
  }

  #text(text: string): QuickJSHandle {
    return this.#context.newString(text);
  }
}

function moduleOf({ code }: ScriptJob): string {
  return `${BEGIN}();${code}`;
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
  const [, file, digits] = /(script\.js|<input>):(\d+)/.exec(stack) ?? [];
  if (digits === undefined) return undefined;
  const line = Number(digits) - (file === BODY_NAME ? LINES_BEFORE_BODY : 0);
  // What is missing at its end is missed in the line behind it.
  return Math.min(Math.max(1, line), code.trimEnd().split('\n').length);
}
