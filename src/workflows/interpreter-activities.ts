import type { BatchValues, ExpressionRequest } from '../dsl/expressions/batch';
import type { Json } from '../dsl/json';
import { proxyBoundedActivities } from './local-activities';

/** Local activities that the interpreter uses: what needs libraries that are not in the workflow's bundle. */
export interface InterpreterActivities {
  evaluateExpressions(request: ExpressionRequest): Promise<BatchValues>;
  validateData(request: { schema: Json; data: Json; what: string }): Promise<void>;
  validateArguments(request: { block: string; args: Json; tenant: string; grant?: string }): Promise<void>;
}

/** Validation takes milliseconds; a failure of the machinery is tried again, a verdict is not. */
export const interpreterActivities = proxyBoundedActivities<InterpreterActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});
