import type { QuickJSContext, QuickJSHandle } from 'quickjs-emscripten-core';
import { type Engine, readText } from './engine';
import { MODULES, PRELUDE } from './prelude';
import { MOST_TOLD, type ScriptEnd, type ScriptError, type ScriptJob, type ScriptStreams, tailOf } from './protocol';
import { readThrown } from './thrown-error';

/** Name of the script in its own stack traces. */
const FILE_NAME = 'script.js';

/**
 * Before what is to be compiled and not run: nothing behind it is, and what it throws tells that all of it was compiled and linked. (The engine's own
 * `compileOnly` fails for some modules that are right: QuickJS 0.32.)
 */
const RUN_NOTHING = 'throw 0;';

/** What the script is called then: a module of that name cannot be imported. */
const CHECKED_NAME = `checked ${FILE_NAME}`;

/** Jobs between two looks at the clock: a chain of short ones may pass the engine's own looks by. */
const JOBS_AT_ONCE = 100;

/** Why a script is stopped from outside; it cannot catch that. */
type Stop =
  | { readonly kind: 'cpu' }
  | { readonly kind: 'output'; readonly of: 'stdout' | 'stderr' }
  | { readonly kind: 'exit'; readonly code: number };

/** Runs one script to its end. */
export function runScript(engine: Engine, job: ScriptJob): ScriptEnd {
  const run = new ScriptRun(engine, job);
  try {
    return run.told(run.run());
  } catch (error) {
    return run.told(run.brokenBy(error));
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
  /** The first that was imported and is not there. */
  #missingModule: string | undefined;

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
    return this.#threw({ name, message: message.slice(0, MOST_TOLD.messageCharacters) });
  }

  /** With what the script has printed, where that is not the script's answer anyway. */
  told(end: ScriptEnd): ScriptEnd {
    const isStopped = end.kind === 'unsettled' || end.kind === 'memory' || end.kind === 'cpu' || end.kind === 'output';
    return isStopped ? { ...end, ...this.#tails() } : end;
  }

  compile(): ScriptEnd | undefined {
    const { job } = this;
    if (job.kind === 'process') {
      this.#becomeProcess(job);
      return this.#compileOnly(job.code, 'module');
    }
    const { code } = job;
    // A body that closes its function is none: behind the brace, a statement has to follow in the one, a comma in the other.
    return this.#compileOnly(declarationOf(code), 'global') ?? this.#compileOnly(methodOf(code), 'global');
  }

  #compileOnly(text: string, type: 'global' | 'module'): ScriptEnd | undefined {
    const { error } = this.#context.evalCode(`${RUN_NOTHING}${text}`, CHECKED_NAME, { type });
    const isCompiled = error === undefined || this.#context.typeof(error) === 'number';
    return isCompiled ? undefined : this.#failed(error, { isSyntax: true });
  }

  #runFunction({ code, input, limits }: Extract<ScriptJob, { kind: 'function' }>): ScriptEnd {
    const wrong = this.#compileOnly(declarationOf(code), 'global');
    if (wrong !== undefined) return wrong;
    const made = this.#context.evalCode(methodOf(code), FILE_NAME);
    if (made.error !== undefined) return this.#failed(made.error, { isSyntax: true });
    const called = this.#call('call', this.#context.getProp(made.value, METHOD), this.#text(input));
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
    const wrong = this.#compileOnly(job.code, 'module');
    if (wrong !== undefined) return wrong;
    const evaluated = context.evalCode(job.code, FILE_NAME, { type: 'module' });
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
    // What ran out of memory in a job has left its promise as it was.
    if (state.type === 'pending') return { kind: this.engine.isFull() ? 'memory' : 'unsettled' };
    return state.type === 'fulfilled' ? { value: state.value } : { error: state.error };
  }

  #becomeProcess({ arguments: args, environment, stdin }: Extract<ScriptJob, { kind: 'process' }>): QuickJSHandle {
    const context = this.#context;
    const given = { argv: ['node', FILE_NAME, ...args], env: environment, stdin };
    const exitCode = this.#must(this.#call('becomeProcess', this.#text(JSON.stringify(given))));
    context.runtime.setModuleLoader(
      (name) => MODULES.get(name) ?? { error: this.#missing(name) },
      (_, name) => name.replace(/^node:/, ''),
    );
    const imports = [...MODULES.keys()].map((name) => `import '${name}';`).join('');
    context.evalCode(imports, 'imports.js', { type: 'module' }).dispose();
    this.#call('seal');
    return exitCode;
  }

  #missing(name: string): Error {
    this.#missingModule ??= name;
    return new Error(`there is no module "${name}": scripts can import node:fs and node:process`);
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
    return { kind: 'threw', error, ...this.#tails() };
  }

  #tails(): ScriptStreams {
    const { stdout, stderr } = this.#read();
    return { stdout: tailOf(stdout), stderr: tailOf(stderr) };
  }

  #describe(thrown: QuickJSHandle): ScriptError {
    const described = this.#call('describe', thrown);
    const text = 'error' in described ? '' : (readText(this.#context, described.value, 100_000) ?? '');
    return readThrown(text, { code: this.job.code, missingModule: this.#missingModule });
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

/** What a function of a script is called in its stack traces. */
const METHOD = 'anonymous';

/** In the script's first line, so that lines stay what they are. */
function declarationOf(code: string): string {
  return `async function ${METHOD}(input) {${code}\n}`;
}

function methodOf(code: string): string {
  return `({ async ${METHOD}(input) {${code}\n} })`;
}
