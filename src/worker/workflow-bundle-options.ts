import { join } from 'node:path';
import type { BundleOptions } from '@temporalio/worker';

/** How the workflows are bundled, at build time; the same for every worker, since histories replay on it. */
export function workflowBundleOptions(): BundleOptions {
  const compiled = join(__dirname, '..');
  return {
    workflowsPath: join(compiled, 'workflows', 'index.js'),
    payloadConverterPath: join(compiled, 'workflows', 'owned-payload-converter.js'),
    failureConverterPath: join(compiled, 'workflows', 'failure-converter.js'),
    workflowInterceptorModules: [join(compiled, 'workflows', 'tracing', 'interceptors.js')],
    // Hold no state of a flow: shared by all flows of a worker instead of loaded for each.
    preloadModules: [join(compiled, 'workflows', 'stack-traces.js'), join(compiled, 'dsl', 'expressions', 'cel.js')],
  };
}
