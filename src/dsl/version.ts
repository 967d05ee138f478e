/**
 * Version of this program, as `runtime.version` of expressions shows it: the one of package.json, which the workflow's
 * isolate cannot read. A flow keeps the one that it was prepared by, so that a later program replays it alike.
 */
export const RUNTIME_VERSION = '0.1.0';
