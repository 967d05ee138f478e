import { type Json, type JsonObject, setOwn } from '../../dsl/json';
import { listOf, textOf } from './openapi-document';
import type { Body, FormField, OperationDescription, ParameterPlace, ValueForm } from './operation';
import { badOperation, type OperationSite } from './operation-site';
import { acceptOf, bodyKindOf, concreteMediaType, preferredMediaType, propertyNamesOf } from './read-body';
import { apiKeysOf, isPlace, nameOf, parametersOf, type ReadParameter, withKeys } from './read-parameters';
import { swaggerServerOf } from './server-url';

const DELIMITED = {
  csv: 'form',
  ssv: 'spaceDelimited',
  tsv: 'tabDelimited',
  pipes: 'pipeDelimited',
  multi: 'form',
} as const;

/** Reads an operation of Swagger 2.0. */
export function readSwagger2(site: OperationSite): OperationDescription {
  const { document, operationId, method, path, operation } = site;
  const all = parametersOf(site);
  const body = readBody(site, all) ?? readForm(site, all);
  const declared = all
    .filter((parameter) => parameter.in !== 'body' && parameter.in !== 'formData')
    .map((parameter) => readParameter(site, parameter));
  const parameters = [...declared, ...apiKeysOf(site, document.root.securityDefinitions, declared)];
  const accept = acceptOf(textsOf(operation.produces ?? document.root.produces));
  return {
    operationId,
    method: method.toUpperCase(),
    path,
    server: swaggerServerOf(site),
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
  return {
    name,
    in: place,
    required: place === 'path' || parameter.required === true,
    isList: parameter.type === 'array',
    // A parameter has the keywords of a schema itself.
    schema: parameter,
    ...valueForm(parameter, place),
  };
}

function valueForm({ collectionFormat = 'csv' }: JsonObject, place: ParameterPlace | 'formData'): ValueForm {
  const delimited = (DELIMITED as Record<string, ValueForm['style']>)[String(collectionFormat)] ?? 'form';
  const style = place === 'path' || place === 'header' ? 'simple' : delimited;
  return { style, explode: collectionFormat === 'multi', allowReserved: false, isJson: false };
}

function readBody(site: OperationSite, parameters: readonly JsonObject[]): Body | undefined {
  const parameter = parameters.find((candidate) => candidate.in === 'body');
  if (parameter === undefined) return undefined;
  const { document } = site;
  const mediaType = preferredMediaType(consumesOf(site)) ?? 'application/json';
  const kind = bodyKindOf(mediaType);
  const isData = kind === 'json' || kind === 'form' || kind === 'multipart';
  return {
    key: nameOf(parameter),
    required: parameter.required === true,
    kind,
    contentType: concreteMediaType(mediaType, kind),
    properties: isData ? propertyNamesOf(document, parameter.schema) : new Set(),
    schema: isData ? (parameter.schema ?? true) : true,
    fields: new Map(),
    files: new Set(),
  };
}

/** Parameters that are `in: formData`, as the properties of a body. */
function readForm(site: OperationSite, parameters: readonly JsonObject[]): Body | undefined {
  const fields = parameters.filter((parameter) => parameter.in === 'formData');
  if (fields.length === 0) return undefined;
  const consumes = consumesOf(site).map(bodyKindOf);
  const isMultipart =
    fields.some(({ type }) => type === 'file') || (consumes.includes('multipart') && !consumes.includes('form'));
  const kind = isMultipart ? 'multipart' : 'form';
  const properties: JsonObject = {};
  for (const field of fields) setOwn(properties, nameOf(field), field);
  const required = fields.filter((field) => field.required === true).map(nameOf);
  return {
    required: required.length > 0,
    kind,
    contentType: isMultipart ? 'multipart/form-data' : 'application/x-www-form-urlencoded',
    properties: new Set(Object.keys(properties)),
    schema: { type: 'object', properties, required },
    fields: new Map(fields.map((field): [string, FormField] => [nameOf(field), valueForm(field, 'formData')])),
    files: new Set(fields.filter(({ type }) => type === 'file').map(nameOf)),
  };
}

function consumesOf({ document, operation }: OperationSite): string[] {
  return textsOf(operation.consumes ?? document.root.consumes);
}

function textsOf(value: Json | undefined): string[] {
  return listOf(value).flatMap((item) => textOf(item) ?? []);
}
