import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { dereference, objectOf, textOf } from './openapi-document';
import type { Body, FormField, OperationDescription, ParameterPlace, ParameterStyle, ValueForm } from './operation';
import { badOperation, type OperationSite } from './operation-site';
import { acceptOf, bodyKindOf, concreteMediaType, fileNamesOf, preferredMediaType, propertyNamesOf } from './read-body';
import {
  apiKeysOf,
  isListSchema,
  isPlace,
  nameOf,
  parametersOf,
  type ReadParameter,
  withKeys,
} from './read-parameters';
import { serverOf } from './server-url';

/** What OpenAPI 3 says of these as parameters is to be ignored: they follow from the body, the answers and the security. */
const IGNORED_HEADERS: ReadonlySet<string> = new Set(['accept', 'content-type', 'authorization']);

const STYLES: Readonly<Record<ParameterPlace, readonly ParameterStyle[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
};

/** Reads an operation of OpenAPI 3.0 or 3.1. */
export function readOpenApi3(site: OperationSite): OperationDescription {
  const { document, operationId, method, path } = site;
  const declared = parametersOf(site)
    .filter((parameter) => parameter.in !== 'header' || !IGNORED_HEADERS.has(nameOf(parameter).toLowerCase()))
    .map((parameter) => readParameter(site, parameter));
  const { securitySchemes } = objectOf(document.root.components);
  const parameters = [...declared, ...apiKeysOf(site, securitySchemes, declared)];
  const body = readBody(site);
  const accept = acceptOf(answerTypes(site));
  return {
    operationId,
    method: method.toUpperCase(),
    path,
    server: serverOf(site),
    parameters: withKeys(parameters, body?.key),
    ...(body === undefined ? {} : { body }),
    ...(accept === undefined ? {} : { accept }),
  };
}

function readParameter(site: OperationSite, parameter: JsonObject): ReadParameter {
  const { in: place } = parameter;
  const name = nameOf(parameter);
  if (!isPlace(place))
    throw badOperation(
      site.document,
      `parameter ${JSON.stringify(name)} of ${site.operationId} has no known place (in)`,
    );
  const [content] = Object.values(objectOf(parameter.content));
  const schema = content === undefined ? parameter.schema : objectOf(content).schema;
  const form = valueForm(site, parameter, STYLES[place]);
  return {
    name,
    in: place,
    required: place === 'path' || parameter.required === true,
    isList: isListSchema(site, schema),
    schema: schema ?? true,
    ...form,
    isJson: content !== undefined,
  };
}

/** How the document wants a value written. Throws BLW_OPENAPI_OPERATION for a style that is none. */
function valueForm(site: OperationSite, source: JsonObject, styles: readonly ParameterStyle[]): ValueForm {
  const [usual = 'form'] = styles;
  const style = styles.find((known) => known === (source.style ?? usual));
  if (style === undefined) {
    throw badOperation(
      site.document,
      `${site.operationId} has the style ${JSON.stringify(source.style)}, expected one of ${styles.join(', ')}`,
    );
  }
  const explode = typeof source.explode === 'boolean' ? source.explode : style === 'form';
  return { style, explode, allowReserved: source.allowReserved === true, isJson: false };
}

function readBody(site: OperationSite): Body | undefined {
  const { document, operation } = site;
  const requestBody = dereference(document, operation.requestBody);
  if (!isJsonObject(requestBody)) return undefined;
  const contents = objectOf(requestBody.content);
  const mediaType = preferredMediaType(Object.keys(contents));
  if (mediaType === undefined) throw badOperation(document, `the body of ${site.operationId} has no content type`);
  const kind = bodyKindOf(mediaType);
  const { schema, encoding } = objectOf(contents[mediaType]);
  const hasNames = kind === 'json' || kind === 'form' || kind === 'multipart';
  return {
    key: 'body',
    required: requestBody.required === true,
    kind,
    contentType: concreteMediaType(mediaType, kind),
    properties: hasNames ? propertyNamesOf(document, schema) : new Set(),
    schema: schemaOf(kind, schema),
    fields: readFields(site, objectOf(encoding)),
    files: fileNamesOf(document, schema),
  };
}

/** What the schema says of text and of bytes (`format: binary`) is not about the value that a flow gives for it. */
function schemaOf(kind: Body['kind'], schema: Json | undefined): Json {
  return kind === 'text' || kind === 'binary' ? true : (schema ?? true);
}

function readFields(site: OperationSite, encoding: JsonObject): Map<string, FormField> {
  const fields = Object.entries(encoding).map(([name, value]): [string, FormField] => {
    const source = objectOf(value);
    const contentType = textOf(source.contentType)?.split(',', 1)[0]?.trim();
    // Objects in a form are JSON unless a style is asked for (OpenAPI, "Encoding Object").
    const isJson = source.style === undefined && contentType?.includes('json') === true;
    const form = valueForm(site, source, STYLES.query);
    return [name, { ...form, isJson, ...(contentType === undefined ? {} : { contentType }) }];
  });
  return new Map(fields);
}

function answerTypes({ document, operation }: OperationSite): string[] {
  return Object.entries(objectOf(operation.responses))
    .filter(([status]) => /^2|^default$/.test(status))
    .flatMap(([, response]) => Object.keys(objectOf(objectOf(dereference(document, response)).content)));
}
