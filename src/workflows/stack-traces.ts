/**
 * Errors of workflow code have no stack trace, which V8 takes only where this is a number. The SDK asks for one for every promise that a workflow makes,
 * maps it to the sources and keeps it until the promise is settled, which nothing of ours reads: where a flow is, `progress` tells, and errors carry the
 * place in the document. They took about a tenth of the CPU time of a step, on the thread that all flows of a worker share; with a limit of 0, which keeps
 * the SDK's records of promises, still a tenth of that thread's. Preloaded by the bundle (workflow-bundle-options.ts): later, `Error` is frozen.
 */
Reflect.deleteProperty(Error, 'stackTraceLimit');
