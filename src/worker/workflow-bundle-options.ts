import { join } from 'node:path';
import type { BundleOptions } from '@temporalio/worker';

/** How the workflows are bundled, at build time; the same for every worker, since histories replay on it. */
export function workflowBundleOptions(): BundleOptions {
  const compiled = join(__dirname, '..');
  return {
    workflowsPath: join(compiled, 'workflows', 'index.js'),
    payloadConverterPath: join(compiled, 'workflows', 'owned-payload-converter.js'),
    failureConverterPath: join(compiled, 'workflows', 'failure-converter.js'),
    workflowInterceptorModules: [
      join(compiled, 'workflows', 'tracing', 'interceptors.js'),
      join(compiled, 'workflows', 'local-rounds.js'),
    ],
    preloadModules: SHARED.map((file) => join(compiled, `${file}.js`)),
    webpackConfigHook: (config) => ({ ...config, devtool: SOURCE_MAP }),
  };
}

/**
 * Loaded once for all flows of a worker, with all that they import, instead of for each flow: that takes a flow half of the time and of the memory that
 * its code takes. They hold no state of a flow, but for caches; those that do are in none of their imports (test/worker/shared-modules.test.ts).
 */
export const SHARED: readonly string[] = [
  'dsl/expressions/cel',
  'dsl/expressions/evaluator',
  'workflows/dead-letters',
  'workflows/dispatch',
  'workflows/dry-run/rehearsal',
  'workflows/events/flow-events',
  'workflows/quota/quota-line',
  'workflows/run-to-end',
  'workflows/settle-step',
  'workflows/tasks/call-task',
  'workflows/tasks/try-task',
];

/**
 * Files and lines. The SDK's own map also has columns and the text of all sources, twice the size of the code, which the main thread and that of the
 * flows would both hold for good.
 */
const SOURCE_MAP = 'inline-nosources-cheap-module-source-map';

/**
 * The same code in ASCII: V8 gives every character of a string two bytes as soon as one of them is not Latin-1, and both threads hold the code. What is
 * escaped stands in comments and in literals of strings, templates and regular expressions, where the escape says the same.
 */
export function asciiOf(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
