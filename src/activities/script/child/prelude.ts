/**
 * What scripts find beside the language: `console`, and where they are processes `process` and two modules. It runs in the
 * script's engine before the script, and takes from the language what it needs before a script can change that. Nothing here is
 * trusted: all limits are outside of it.
 */
export const PRELUDE = `(function (write, exit) {
  'use strict';
  const { stringify, parse } = JSON;
  const cut = Function.prototype.call.bind(String.prototype.slice);
  const text = String;
  const isError = (value) => value instanceof Error;
  const { isInteger } = Number;

  const show = (value) => {
    if (typeof value === 'string') return value;
    if (isError(value)) return value.name + ': ' + value.message + '\\n' + text(value.stack);
    if (typeof value !== 'object' || value === null) return text(value);
    try {
      return stringify(value) ?? text(value);
    } catch {
      return text(value);
    }
  };
  // A list as a whole would be written as the toJSON says that a script has given to all of them.
  const listOf = (a, b, c) => '[' + stringify(a) + ',' + stringify(b) + ',' + stringify(c) + ']';
  const printTo = (stream) => (...values) => write(stream, values.map(show).join(' ') + '\\n');
  const out = printTo(1);
  const err = printTo(2);
  globalThis.console = { log: out, info: out, debug: out, dir: out, table: out, error: err, warn: err, trace: err };

  return {
    call: (run, input) => run(parse(input)),
    encode: (value) => stringify(value) ?? 'null',
    describe: (thrown) => {
      try {
        if (!isError(thrown)) return listOf('', cut(show(thrown), 0, 1000), '');
        return listOf(cut(text(thrown.name), 0, 100), cut(text(thrown.message), 0, 1000), cut(text(thrown.stack), 0, 4000));
      } catch {
        return '["","something that cannot be shown",""]';
      }
    },
    complain: (thrown) => err(isError(thrown) ? thrown : 'Uncaught ' + show(thrown)),
    becomeProcess: (given) => {
      const { argv, env, stdin } = parse(given);
      const open = (stream) => ({ fd: stream, isTTY: false, write: (value) => (write(stream, text(value)), true) });
      // As Node has it: a number, or text that is one.
      const exitCodeOf = (code) => {
        const number = typeof code === 'string' && code !== '' ? +code : code;
        if (isInteger(number)) return number;
        throw new TypeError('an exit code is a whole number, got ' + show(code));
      };
      let exitCode;
      const input = {
        fd: 0,
        isTTY: false,
        setEncoding: () => input,
        async *[Symbol.asyncIterator]() {
          if (stdin !== '') yield stdin;
        },
      };
      const process = {
        argv,
        env,
        get exitCode() {
          return exitCode;
        },
        set exitCode(code) {
          exitCode = code == null ? undefined : exitCodeOf(code);
        },
        stdin: input,
        stdout: open(1),
        stderr: open(2),
        cwd: () => '/',
        exit: (code) => exit(code == null ? (exitCode ?? 0) : exitCodeOf(code)),
      };
      globalThis.process = process;
      globalThis.readFileSync = (file) => {
        if (file === 0 || file === '/dev/stdin') return stdin;
        throw new Error('a script has no files; it can read its standard input: readFileSync(process.stdin.fd)');
      };
      return () => exitCode ?? 0;
    },
    seal: () => delete globalThis.readFileSync,
  };
})`;

/** The modules that a process may import; evaluated before the script, while the prelude's functions are there. */
export const MODULES: ReadonlyMap<string, string> = new Map([
  ['fs', 'export const readFileSync = globalThis.readFileSync; export default { readFileSync };'],
  [
    'process',
    'const { process } = globalThis; export default process; export const { argv, env, stdin, stdout, stderr, exit, cwd } = process;',
  ],
]);
