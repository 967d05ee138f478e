import type { ErrorCode } from '../error-codes';
import type { JsonObject } from '../json';
import type { FlowReference } from './references';

/** A flow of a catalog. */
export interface FoundFlow {
  /** `namespace/name:version`, always with the exact version. */
  readonly name: string;
  /** Where it stands: the path of the file in the catalog. */
  readonly source: string;
  readonly document: JsonObject;
}

/** A function of a catalog: its definition is a task of OWS (dsl, "Creating a Custom Function"). */
export interface FoundFunction {
  readonly source: string;
  readonly definition: JsonObject;
}

/** Why something is not there, or may not be used. */
export interface NotFound {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A function as a catalog looks it up. */
export interface FunctionLookup {
  readonly name: string;
  readonly version: string;
  /** `endpoint` of the catalog; absent: the catalog `default`. */
  readonly endpoint?: string;
}

/** Flows and functions by name, at one moment: what a flow is resolved with before it starts. */
export interface FlowLibrary {
  findFlow(reference: FlowReference): FoundFlow | NotFound;
  findFunction(lookup: FunctionLookup): FoundFunction | NotFound;
}

/** Where a library comes from: asked anew for each flow that starts. */
export interface Catalog {
  read(): Promise<FlowLibrary>;
}
