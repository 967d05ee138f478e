import type { Catalog, FlowLibrary, NotFound } from '../../dsl/catalog/library';

const ADVICE = 'this worker has no catalog; start it with --catalog DIR';

const NOTHING: FlowLibrary = {
  findFlow: (): NotFound => ({ code: 'BLW_FLOW_UNKNOWN', message: ADVICE }),
  findFunction: (): NotFound => ({ code: 'BLW_FUNCTION_UNKNOWN', message: ADVICE }),
};

/** The catalog of a worker that was given none: everything in it is unknown. */
export const NO_CATALOG: Catalog = { read: async () => NOTHING };
