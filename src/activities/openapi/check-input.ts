import { getOwn, type Json, type JsonObject, setOwn } from '../../dsl/json';
import { closestName, listNames, shortText } from '../../dsl/problems';
import type { SchemaViolation } from '../../dsl/validation/json-schemas';
import { notRetryable } from '../block-failure';
import { describeViolations } from '../validate-data';
import type { Body, Operation, OperationInput } from './operation';

/**
 * Tells what of the given parameters is a parameter and what makes the body, and checks both against the document.
 * Throws BLW_ARG_INVALID (not retryable) that names all that is wrong; it shows no value.
 */
export function readInput(operation: Operation, given: JsonObject): OperationInput {
  const { values, rest } = takeParameters(operation, given);
  const { body, bodyPath, unknown } = takeBody(operation.body, rest);
  const names = namesOf(operation);
  const violations = [
    ...unknown.map((name) => ({ path: ['parameters'], message: describeUnknown(name, names) })),
    ...below(['parameters'], operation.checkParameters(values)),
    ...checkBody(operation, body, bodyPath),
  ];
  if (violations.length === 0) return { values, body, bodyPath };
  throw notRetryable(
    'BLW_ARG_INVALID',
    `openapi: ${shortText(operation.operationId)}: ${describeViolations(violations)}`,
  );
}

function takeParameters({ parameters }: Operation, given: JsonObject): { values: JsonObject; rest: JsonObject } {
  const byKey = new Map(parameters.map((parameter) => [parameter.key, parameter]));
  const values: JsonObject = {};
  const rest: JsonObject = {};
  for (const [key, value] of Object.entries(given)) {
    const parameter = byKey.get(key);
    if (parameter === undefined) setOwn(rest, key, value);
    // As in the query of `call: http`, null leaves it out.
    else if (value !== null) setOwn(values, key, parameter.isList && !Array.isArray(value) ? [value] : value);
  }
  return { values, rest };
}

function takeBody(
  body: Body | undefined,
  rest: JsonObject,
): { body: Json | undefined; bodyPath: string[]; unknown: string[] } {
  const names = Object.keys(rest);
  const whole = body?.key === undefined ? undefined : getOwn(rest, body.key);
  if (body?.key !== undefined && whole !== undefined) {
    return { body: whole, bodyPath: ['parameters', body.key], unknown: names.filter((name) => name !== body.key) };
  }
  const isProperty = (name: string): boolean =>
    body !== undefined && (body.properties === 'any' || body.properties.has(name));
  const properties: JsonObject = {};
  for (const name of names.filter(isProperty)) setOwn(properties, name, rest[name] ?? null);
  const isGiven = Object.keys(properties).length > 0;
  // A form without required fields may be empty, and what is missing of another is to be named.
  const isForm = body !== undefined && body.key === undefined && body.required;
  return {
    body: isGiven || isForm ? properties : undefined,
    bodyPath: ['parameters'],
    unknown: names.filter((name) => !isProperty(name)),
  };
}

function checkBody(operation: Operation, body: Json | undefined, path: readonly string[]): SchemaViolation[] {
  if (operation.body === undefined) return [];
  if (body !== undefined) {
    if (operation.body.kind === 'text' && typeof body !== 'string') {
      return [{ path, message: `expected text, since the body is ${operation.body.contentType}` }];
    }
    return below(path, operation.checkBody(body));
  }
  if (!operation.body.required) return [];
  return [{ path, message: `"${operation.body.key ?? 'body'}" is missing` }];
}

/** Violations as those of the block's arguments. What was got may be a secret: only its type is said. */
function below(path: readonly string[], violations: readonly SchemaViolation[]): SchemaViolation[] {
  return violations.map((violation) => ({
    path: [...path, ...violation.path],
    message: violation.withoutValue ?? violation.message,
  }));
}

function describeUnknown(name: string, known: readonly string[]): string {
  const meant = closestName(name, known);
  const advice = meant === undefined ? `there are: ${listNames(known)}` : `did you mean "${meant}"?`;
  return `"${shortText(name)}" is not known; ${advice}`;
}

function namesOf({ parameters, body }: Operation): string[] {
  const own = parameters.map(({ key }) => key);
  if (body === undefined) return own;
  return [...own, ...(body.key === undefined ? [] : [body.key]), ...(body.properties === 'any' ? [] : body.properties)];
}
