import { FlowError } from '../../dsl/errors';
import { type Batch, type BatchItem, type BatchValues, evaluateBatch } from '../../dsl/expressions/batch';
import type { Json } from '../../dsl/json';
import { MAX_PAYLOAD_BYTES } from '../../dsl/step-request';
import type { EvaluateCel } from './cel-evaluator';
import { ExpressionFailure } from './expression-failure';
import { checkJqSyntax, type Evaluated, evaluateJq, type Group } from './jq-evaluator';
import type { JqRuntime } from './jq-runtime';
import type { EvaluateJsonata } from './jsonata-sandbox';
import { type Answer, type BatchExpression, itemExpressions, type Job } from './protocol';
import { isTooDeep, TOO_DEEP } from './result-depth';

/** The languages of a thread, made when they are first needed. */
export interface Languages {
  readonly cel: () => EvaluateCel;
  readonly jq: () => JqRuntime;
  readonly jsonata: () => EvaluateJsonata;
}

/** Does a job. `onPosition` hears which expression of the job is evaluated, for whoever ends the thread meanwhile. */
export async function runJob(job: Job, languages: Languages, onPosition: (at: number) => void): Promise<Answer> {
  if (job.kind === 'checkJq') {
    return { kind: 'verdicts', verdicts: await checkJqSyntax(languages.jq(), job.questions, onPosition) };
  }
  const { request } = job;
  const evaluateGroup: EvaluateGroup = (group, position) => {
    const onDone = (done: number): void => onPosition(position + done);
    return request.language === 'jq'
      ? evaluateJq(languages.jq(), group, onDone)
      : evaluateJsonata(languages.jsonata(), group, onDone);
  };
  try {
    const values =
      request.language === 'cel' ? languages.cel()(request, onPosition) : await evaluateAll(request, evaluateGroup);
    const bytes = Buffer.byteLength(JSON.stringify(values));
    if (bytes <= MAX_PAYLOAD_BYTES) return { kind: 'values', values };
    return {
      kind: 'failed',
      detail: `what the expressions of a step give has ${bytes} bytes of JSON, at most ${MAX_PAYLOAD_BYTES} fit into a flow`,
    };
  } catch (error) {
    if (!(error instanceof ExpressionFailure) && !(error instanceof FlowError)) throw error;
    return { kind: 'failed', detail: error.message };
  }
}

/** Evaluates a group; up to the first failure, which is the last result, or to the condition that ends the batch. */
type EvaluateGroup = (group: Group, position: number) => Promise<Evaluated[]>;

async function evaluateAll(batch: Batch, evaluateGroup: EvaluateGroup): Promise<BatchValues> {
  const groups = groupsOf(batch.items);
  const walk = evaluateBatch(batch);
  const ready: Evaluated[] = [];
  let position = 0;
  let step = walk.next();
  while (step.done !== true) {
    const result = ready.shift();
    if (result === undefined) {
      const expressions = groups.shift() ?? [];
      ready.push(...(await evaluateGroup({ expressions, variables: step.value.variables }, position)));
      position += expressions.length;
      if (ready.length === 0) throw new Error('the expressions of the batch are not those of its items');
    } else if ('failure' in result) {
      throw result.failure;
    } else {
      step = walk.next(result.value);
    }
  }
  return step.value;
}

/** Expressions of a batch that see the same variables, in their order: an item that binds its value ends a group. */
function groupsOf(items: readonly BatchItem[]): BatchExpression[][] {
  const groups: BatchExpression[][] = [[]];
  for (const item of items) {
    groups.at(-1)?.push(...itemExpressions(item));
    if ('bind' in item && item.bind !== undefined) groups.push([]);
  }
  return groups.filter((group) => group.length > 0);
}

async function evaluateJsonata(
  evaluate: EvaluateJsonata,
  group: Group,
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const { data, ...others } = group.variables;
  const texts = [JSON.stringify(data), JSON.stringify(others)] as const;
  const results: Evaluated[] = [];
  for (const { expression, goesOn } of group.expressions) {
    onPosition(results.length);
    const result = await evaluate(expression, ...texts);
    if (!('json' in result)) return [...results, { failure: toFailure(expression, result) }];
    const value = JSON.parse(result.json) as Json;
    if (isTooDeep(value)) return [...results, { failure: new ExpressionFailure(expression, TOO_DEEP) }];
    results.push({ value });
    if (goesOn?.includes(value as boolean) === false) break;
  }
  return results;
}

/** JSONata's positions are behind the token. */
function toFailure(
  expression: string,
  { problem, position, token = '' }: { problem: string; position?: number; token?: string },
): ExpressionFailure {
  const offset = position === undefined ? undefined : Math.max(0, position - token.length);
  return new ExpressionFailure(expression, problem, offset);
}
