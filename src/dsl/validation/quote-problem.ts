import { shortText } from '../problems';

/** A problem of an expression, with its text and the place in it; `offset` from 0. */
export function quoteProblem(expression: string, reason: string, offset?: number): string {
  const where = offset === undefined ? '' : ` at character ${offset + 1}`;
  return `\${ ${shortText(expression, 200)} }${where}: ${reason}`;
}
