import { BLOCK_SPECS } from '../dsl/block-registry';
import { flowError } from '../dsl/errors';
import type { Json } from '../dsl/json';
import { checkArguments } from '../dsl/validation/check-call';
import { compileSchema, type SchemaCheck, type SchemaViolation } from '../dsl/validation/json-schemas';
import { toApplicationFailure } from './step-failure';

/** Violations that a message spells out. */
const SPELLED_OUT = 5;

/** Schemas compiled before, by their text; a loop checks the same one again and again. */
const compiled = new Map<string, SchemaCheck>();
const MAX_COMPILED = 200;

/** Local activity: data against a JSON Schema of the document. Fails, not retried, with BLW_DATA_INVALID. */
export async function validateData({ schema, data, what }: { schema: Json; data: Json; what: string }): Promise<void> {
  const violations = checkOf(schema)(data);
  if (violations.length === 0) return;
  const error = flowError('BLW_DATA_INVALID', `${what}: ${describeViolations(violations)}`);
  throw toApplicationFailure(error, { attempt: 1 });
}

/** Local activity: resolved arguments of a block that has no activity of its own. Fails with BLW_ARG_INVALID. */
export async function validateArguments({ block, args }: { block: string; args: Json }): Promise<void> {
  const error = findArgumentError(block, args);
  if (error !== undefined) throw toApplicationFailure(error, { attempt: 1 });
}

/** What is wrong with a block's resolved arguments, or undefined. */
export function findArgumentError(block: string, args: Json): ReturnType<typeof flowError> | undefined {
  const spec = BLOCK_SPECS.find(({ type }) => type === block);
  if (spec === undefined) return flowError('BLW_BLOCK_UNKNOWN', `there is no block of type "${block}" in this worker`);
  const violations = checkArguments(spec, args);
  return violations.length === 0
    ? undefined
    : flowError('BLW_ARG_INVALID', `${spec.call}: ${describeViolations(violations)}`);
}

/** `order.total: got a string, expected number; …` */
export function describeViolations(violations: readonly SchemaViolation[]): string {
  const texts = violations
    .slice(0, SPELLED_OUT)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`));
  const more = violations.length > texts.length ? [`and ${violations.length - texts.length} more`] : [];
  return [...texts, ...more].join('; ');
}

function checkOf(schema: Json): SchemaCheck {
  const text = JSON.stringify(schema);
  let check = compiled.get(text);
  if (check === undefined) {
    check = compileSchema(schema);
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(text, check);
  }
  return check;
}
