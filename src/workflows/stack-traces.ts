/**
 * Errors of workflow code have no stack trace. The SDK takes one for every promise that a workflow makes and maps it to the sources,
 * which nothing of ours reads: where a flow is, `progress` tells, and errors carry the place in the document. They took about a tenth of
 * the CPU time of a step, on the thread that all flows of a worker share. Preloaded by the bundle (workflow-bundle-options.ts): later, `Error` is frozen.
 */
Error.stackTraceLimit = 0;
