import type { Json, JsonObject } from '../../dsl/json';
import type { SchemaCheck } from '../../dsl/validation/json-schemas';

/** Where a parameter is sent. */
export type ParameterPlace = 'path' | 'query' | 'header' | 'cookie';

/** How a list or an object becomes text (OpenAPI, "Style Values"); `tabDelimited` is Swagger's `tsv`. */
export type ParameterStyle =
  | 'simple'
  | 'label'
  | 'matrix'
  | 'form'
  | 'spaceDelimited'
  | 'pipeDelimited'
  | 'tabDelimited'
  | 'deepObject';

/** How a value is written into a URL, a header or a form. */
export interface ValueForm {
  readonly style: ParameterStyle;
  readonly explode: boolean;
  /** Leave characters that URLs reserve as they are. */
  readonly allowReserved: boolean;
  /** As JSON text, whatever the style. */
  readonly isJson: boolean;
}

/** A parameter that is not in the body. */
export interface Parameter extends ValueForm {
  /** Under which name a flow gives it: its own, or `query.id` where several have the same. */
  readonly key: string;
  readonly name: string;
  readonly in: ParameterPlace;
  readonly required: boolean;
  readonly isList: boolean;
  /** As the document has it. */
  readonly schema: Json;
}

/** How a body is encoded. */
export type BodyKind = 'json' | 'form' | 'multipart' | 'text' | 'binary';

/** A property of a form. */
export interface FormField extends ValueForm {
  /** Content type of a part of multipart/form-data, where the document names one. */
  readonly contentType?: string;
}

/** What an operation takes as its body. */
export interface Body {
  /** Under which name a flow gives the whole of it; undefined where only its properties have names (Swagger's `formData`). */
  readonly key?: string;
  readonly required: boolean;
  readonly kind: BodyKind;
  /** A concrete media type, without wildcards. */
  readonly contentType: string;
  /** Names that may be given in place of the whole; `any` where the schema names none. */
  readonly properties: ReadonlySet<string> | 'any';
  /** As the document has it. */
  readonly schema: Json;
  /** How fields of a form are written, by name; the others in the usual way. */
  readonly fields: ReadonlyMap<string, FormField>;
  /** Fields of a form that are files, also where a flow gives text for them. */
  readonly files: ReadonlySet<string>;
}

/** What a document says of an operation, whatever its version. */
export interface OperationDescription {
  readonly operationId: string;
  /** Upper case. */
  readonly method: string;
  /** With `{name}` for each path parameter. */
  readonly path: string;
  /** Absolute, without a slash at its end, query or fragment. */
  readonly server: string;
  readonly parameters: readonly Parameter[];
  readonly body?: Body;
  /** Media types of its answers, for the header `accept`. */
  readonly accept?: string;
}

/** An operation, ready to be called. */
export interface Operation extends OperationDescription {
  readonly checkParameters: SchemaCheck;
  readonly checkBody: SchemaCheck;
}

/** Values of an operation's parameters, by key, and its body. */
export interface OperationInput {
  readonly values: JsonObject;
  /** Undefined where there is none. */
  readonly body: Json | undefined;
  /** Path of the body in the arguments. */
  readonly bodyPath: readonly string[];
}
