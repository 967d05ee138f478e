import { ScriptPool } from '../../src/activities/script/script-pool';
import { StepMeter } from '../../src/activities/step-meter';
import type { Json, JsonObject } from '../../src/dsl/json';
import { makeContext } from '../helpers/block-context';
import { type Compiled, compileSources } from '../helpers/compiled';
import { type AttackCase, type AttackSuite, codeOf, described, type Outcome, outcomeOf, shown } from './attack';
import { SCRIPT_INPUTS, type ScriptExpectation, type ScriptInput } from './scripts';

const MEMORY_MB = 48;

/** What a process that runs scripts may hold beside the engine's memory: Node, and copies of what goes in and out. */
const OVERHEAD_BYTES = 160 * 1_048_576;

/** The pool of a worker, isolated as well as this machine can. */
class ScriptWorld {
  readonly #compiled: Compiled = compileSources();
  readonly pool = new ScriptPool({
    entry: this.#compiled.path('src/activities/script/child/child-main.js'),
    memoryMb: MEMORY_MB,
    isolation: 'auto',
  });
  readonly #marks = hostMarks();

  async run(args: JsonObject): Promise<{ outcome: Outcome<Json>; meter: StepMeter }> {
    const meter = new StepMeter();
    const outcome = await outcomeOf(() => meter.run(() => this.pool.run(args, makeContext({}, { timeoutMs: 60_000 }))));
    return { outcome, meter };
  }

  /** What is not as it was before the attack; undefined where nothing is. */
  async damage(): Promise<string | undefined> {
    if (hostMarks() !== this.#marks) return `the worker's own objects have changed: ${hostMarks()}`;
    const { outcome } = await this.run({ code: 'return input.map((n) => n * 2)', input: [20, 21] });
    const isWell = 'value' in outcome && JSON.stringify(outcome.value) === '[40,42]';
    return isWell ? undefined : `the next script was not run: ${described(outcome)}`;
  }

  async close(): Promise<void> {
    await this.pool.close();
    this.#compiled.remove();
  }
}

/** What all code of the worker shares, and a script must not reach. */
function hostMarks(): string {
  const shared = [Object.prototype, Array.prototype, Function.prototype, Promise.prototype, JSON, String.prototype];
  return shared.map((one) => Reflect.ownKeys(one).length).join();
}

function attack(input: ScriptInput): AttackCase<ScriptWorld> {
  const { kind, name, code, expect, isControl, process } = input;
  return {
    kind,
    name,
    ...(isControl === undefined ? {} : { isControl }),
    attempt: async (world) => {
      const { outcome, meter } = await world.run({
        code,
        timeout: 'PT0.25S',
        ...(input.input === undefined ? {} : { input: input.input as Json }),
        ...(process === undefined ? {} : { process: process as JsonObject }),
      });
      const limit = MEMORY_MB * 1_048_576 + OVERHEAD_BYTES;
      if (meter.peakMemoryBytes > limit) return `it held ${meter.peakMemoryBytes} bytes, more than ${limit}`;
      return mismatch(outcome, expect) ?? leak(outcome) ?? (await world.damage());
    },
  };
}

function mismatch(outcome: Outcome<Json>, expect: ScriptExpectation): string | undefined {
  if ('value' in expect) {
    const wanted = JSON.stringify(expect.value);
    if ('value' in outcome && JSON.stringify(outcome.value) === wanted) return undefined;
    return `expected ${shown(wanted)}, got ${described(outcome)}`;
  }
  // `value`: the machine may be fast enough for it to end.
  const got = 'value' in outcome ? 'value' : codeOf(outcome);
  return got !== undefined && expect.codes.includes(got)
    ? undefined
    : `expected ${expect.codes.join(' or ')}, got ${described(outcome)}`;
}

/** Of the worker's machine, nothing may stand in what a script gives or how it fails. */
function leak(outcome: Outcome<Json>): string | undefined {
  const text =
    'value' in outcome ? JSON.stringify(outcome.value) : JSON.stringify((outcome.error as { data?: unknown }).data);
  const place = [process.cwd(), __dirname, 'node_modules', 'child-main', 'emscripten'].find((part) =>
    text.includes(part),
  );
  return place === undefined ? undefined : `it says ${place}: ${shown(text)}`;
}

/** Attempts of scripts to get out, or to take more than they may have. */
export const scriptSuite: AttackSuite<ScriptWorld> = {
  area: 'scripts',
  cases: SCRIPT_INPUTS.map(attack),
  open: async () => new ScriptWorld(),
  close: (world) => world.close(),
};
