/**
 * Errors of workflow code have no stack trace, which V8 takes only where this is a number. The SDK asks for one for every promise that a workflow makes,
 * maps it to the sources and keeps it until the promise is settled, which nothing of ours reads: where a flow is, `progress` tells, and errors carry the
 * place in the document. They took about a third of the time of the thread that all flows of a worker share. Preloaded by the bundle
 * (workflow-bundle-options.ts): later, `Error` is frozen.
 */
Reflect.deleteProperty(Error, 'stackTraceLimit');
