import type { JsonObject } from '../../dsl/json';
import { type BlockFailure, notRetryable } from '../block-failure';
import type { OpenApiDocument } from './openapi-document';

/** An operation where it stands in a document. */
export interface OperationSite {
  readonly document: OpenApiDocument;
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly pathItem: JsonObject;
  readonly operation: JsonObject;
}

/** The failure BLW_OPENAPI_OPERATION (not retryable). */
export function badOperation(document: OpenApiDocument, detail: string): BlockFailure {
  return notRetryable('BLW_OPENAPI_OPERATION', `OpenAPI document ${document.label}: ${detail}`);
}
