import type { JsonObject } from '../json';
import type { ExpressionChecker } from './check-expressions';
import type { Checker } from './checker';

/** What the checks of one document share. */
export interface CheckContext {
  readonly checker: Checker;
  readonly expressions: ExpressionChecker;
  /** `use` of the document. */
  readonly use: JsonObject;
}
