import { createEngine } from './child/engine';
import type { ScriptEnd, ScriptJob } from './child/protocol';
import { compileScript } from './child/run-script';

/** A script whose syntax is asked for: the body of a function, or a module. */
export interface ScriptText {
  readonly kind: ScriptJob['kind'];
  readonly code: string;
}

/** The text itself is at most a document: parsing takes a small part of this. */
const LIMITS = { cpuMs: 5_000, memoryMb: 64, maxResultBytes: 0, maxStreamBytes: 0 };

/**
 * What is wrong with a script that the engine of scripts does not compile, or undefined. Nothing of it is run. In this process: for commands, not for
 * workers.
 */
export async function checkScript({ kind, code }: ScriptText): Promise<string | undefined> {
  const engine = await createEngine(LIMITS.memoryMb);
  const common = { code, limits: LIMITS };
  let end: ScriptEnd | undefined;
  try {
    end = compileScript(
      engine,
      kind === 'function'
        ? { ...common, kind, input: 'null' }
        : { ...common, kind, arguments: [], environment: {}, stdin: '' },
    );
  } catch (error) {
    // The stack of this process may be used up before the engine's own.
    if (!(error instanceof RangeError)) throw error;
    return 'it is nested too deeply';
  }
  if (end === undefined) return undefined;
  if (!('error' in end) || end.error === undefined) return 'it takes too much to compile it';
  const { name, message, line } = end.error;
  const place = line === undefined ? '' : `line ${line}: `;
  return name === 'Error' ? `${place}${message}` : `${place}${name}: ${message}`;
}
