import { BLOCK_SPECS } from '../block-registry';
import type { ErrorCode } from '../error-codes';
import type { Template } from '../expressions/template';
import { type Json, type JsonObject, jsonAt } from '../json';
import type { TaskPlan } from '../planning/plan';
import { listNames, shortJson } from '../problems';
import { outputShape } from './output-shape';

/** Kinds of step that can be mocked, by what the step is. */
export type MockedKind = 'block' | 'approval' | 'function' | 'subflow' | 'listen' | 'emit';

/** What is known of a step that a mock is read for. */
export interface MockedStep {
  readonly kind: MockedKind;
  /** Type of its block, where it has one. */
  readonly block?: string;
  /** JSON Schema of what it puts out, as far as its arguments tell; absent: anything. */
  readonly output?: JsonObject;
}

/** What can be mocked of a task; undefined: nothing, since it reaches nothing. */
export function mockedStepOf(task: TaskPlan): MockedStep | undefined {
  switch (task.kind) {
    case 'call':
      return task.human === true
        ? { kind: 'approval', block: task.block }
        : { kind: 'block', ...blockStep(task.block, task.with) };
    case 'function':
    case 'subflow':
    case 'listen':
    case 'emit':
      return { kind: task.kind };
    default:
      return undefined;
  }
}

/** What is known of a call of a block. */
export function blockStep(block: string, args: Template): Pick<MockedStep, 'block' | 'output'> {
  const output = outputShape(block, (...path) => argumentAt(args, path));
  return { block, ...(output === undefined ? {} : { output }) };
}

/** What stands under a path of arguments: `{ value }`, of what is absent undefined; `computed` where only an expression will tell. */
function argumentAt(template: Template, [key, ...rest]: readonly string[]): { value: Json | undefined } | 'computed' {
  if ('value' in template) return { value: jsonAt(template.value, key === undefined ? [] : [key, ...rest]) };
  if (!('map' in template) || key === undefined) return 'computed';
  const inner = template.map.find(([name]) => name === key);
  return inner === undefined ? { value: undefined } : argumentAt(inner[1], rest);
}

/** Codes of these families come from blocks and what is like them; all other codes may come of any step. */
const FAMILIES: readonly string[] = ['APPROVAL', 'AUTH', 'EVENT', 'FS', 'HTTP', 'OPENAPI', 'SCRIPT', 'SQL'];

/** `HTTP` of BLW_HTTP_STATUS. */
export function familyOf(code: string): string {
  return code.split('_')[1] ?? '';
}

/** Says that a step cannot fail with a code: one of another block's. Undefined: it may, or that is not known. */
export function foreignCodeProblem(code: ErrorCode, { kind, block }: MockedStep): string | undefined {
  const own = kind === 'emit' ? EMIT_ERRORS : BLOCK_SPECS.find(({ type }) => type === block)?.errors;
  const family = familyOf(code);
  if (own === undefined || !FAMILIES.includes(family) || own.some((known) => familyOf(known) === family))
    return undefined;
  const what = kind === 'emit' ? 'an emit' : block;
  return `got ${shortJson(code)}, with which ${what} does not fail; it may with: ${listNames([...own])}, and what any step may fail with`;
}

const EMIT_ERRORS: readonly ErrorCode[] = ['BLW_EVENT_INVALID'];
