/** Processes that a measurement starts, and how they are ended, also where it is broken off. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { BenchFailure } from './failure.mjs';

const START_LIMIT_MS = 60_000;

/** How long a process has to end in good order. */
const END_LIMIT_MS = 10_000;

/** Characters of its output that are told where it fails. */
const MAX_END = 1_000;

/** Ends what was started, the last first. What comes once that has begun is ended at once. */
export class Releases {
  #list = [];
  #ended;
  #fail = () => undefined;

  /** Rejects where something that was started has failed by itself. */
  failed = new Promise((_, reject) => {
    this.#fail = reject;
  });

  constructor() {
    this.failed.catch(() => undefined);
  }

  get isEnding() {
    return this.#ended !== undefined;
  }

  add(release) {
    if (this.isEnding) this.#ended = this.#ended.then(release);
    else this.#list.push(release);
  }

  fail(error) {
    this.#fail(error);
  }

  async releaseAll() {
    this.#ended ??= this.#run();
    await this.#ended;
  }

  async #run() {
    for (const release of this.#list.splice(0).reverse()) await release();
  }
}

/**
 * Starts a program and waits for a line of its output, or of its errors, that matches; resolves with its process id and the match. One that ends by
 * itself is a failure.
 */
export async function startProcess(
  command,
  args,
  { releases, ready, env = {}, cwd, owner = {}, endSignal = 'SIGTERM' },
) {
  if (releases.isEnding) throw new BenchFailure('broken off');
  const stdio = ['ignore', 'pipe', 'pipe'];
  // A group of its own: Ctrl-C reaches us alone, and we end all of them in order.
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio, detached: true, ...owner });
  const name = `${basename(command)} ${args.join(' ')}`.slice(0, 200);
  const exited = once(child, 'exit');
  releases.add(async () => {
    child.kill(endSignal);
    const stuck = setTimeout(() => child.kill('SIGKILL'), END_LIMIT_MS);
    await exited.catch(() => undefined);
    clearTimeout(stuck);
  });
  const outputs = [child.stdout, child.stderr];
  let end = '';
  const match = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new BenchFailure(`${name} is not ready:\n${end}`)), START_LIMIT_MS);
    const readers = outputs.map((input) => createInterface({ input }));
    const read = (line) => {
      end = `${end.slice(-MAX_END)}${line}\n`;
      const found = ready.exec(line);
      if (found === null) return;
      clearTimeout(timer);
      // From here on nobody reads what it says; a pipe that is full would stop it.
      for (const reader of readers) reader.close();
      for (const output of outputs) output.on('data', (chunk) => (end = chunk)).resume();
      resolve(found);
    };
    for (const reader of readers) reader.on('line', read);
    const gone = (how) => {
      clearTimeout(timer);
      const failure = new BenchFailure(
        `${name} ended (${how}); the end of its output:\n${String(end).slice(-MAX_END)}`,
      );
      reject(failure);
      if (!releases.isEnding) releases.fail(failure);
    };
    exited.then(
      ([code, signal]) => gone(signal ?? `exit code ${code}`),
      ({ message }) => gone(message),
    );
  });
  return { pid: child.pid, match };
}
