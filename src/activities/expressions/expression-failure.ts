import { shortText } from '../../dsl/problems';

/** Longest part of an expression that a message quotes. */
const MAX_QUOTED = 500;

/** Why an expression has no value. Its message names the expression, and where in it, if the language tells. */
export class ExpressionFailure extends Error {
  constructor(
    readonly expression: string,
    readonly reason: string,
    /** From 0. */
    readonly offset?: number,
  ) {
    super(describeFailure(expression, reason, offset));
  }
}

/** `${ .a + } at character 4: it ends too early`, as the messages of CEL are. */
export function describeFailure(expression: string, reason: string, offset?: number): string {
  const where = offset === undefined ? '' : ` at character ${offset + 1}`;
  return `\${ ${shortText(expression, MAX_QUOTED)} }${where}: ${reason}`;
}
