import { findBlockByCall } from '../block-registry';
import { blockStep, type MockedStep } from '../dry-run/mocked-step';
import { parseMock } from '../dry-run/read-mock';
import { compileTemplate } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { isScriptTask, scriptCall } from '../script';
import type { TaskSite } from './check-context';
import { isFunctionCall } from './check-function';

/** Checks a step's `metadata.mock`: what it is answered in a dry run. */
export function checkMock(kind: string, { task, path, context: { checker, use } }: TaskSite): void {
  if (!isJsonObject(task.metadata) || task.metadata.mock === undefined) return;
  const at = [...path, 'metadata', 'mock'];
  const mocked: MockedStep | undefined =
    kind === 'call' && isFunctionCall(task.call, use) ? { kind: 'function' } : mockedStep(kind, task);
  if (mocked === undefined) {
    const message = `metadata.mock has no effect on a ${kind} task, which reaches nothing; write it on a call, run, listen or emit`;
    checker.report('BLW_UNSUPPORTED', at, message, 'key');
    return;
  }
  const parsed = parseMock(task.metadata.mock, mocked);
  if ('problem' in parsed)
    checker.report('BLW_VALUE_INVALID', [...at, ...(parsed.at ?? [])], `metadata: mock: ${parsed.problem}`);
}

function mockedStep(kind: string, task: JsonObject): MockedStep | undefined {
  switch (kind) {
    case 'call':
      return calledStep(task);
    case 'run':
      if (!isScriptTask(task)) return { kind: 'subflow' };
      return isJsonObject(task.run) && isJsonObject(task.run.script) ? calledStep(scriptCall(task)) : { kind: 'block' };
    case 'listen':
    case 'emit':
      return { kind };
    default:
      return undefined;
  }
}

function calledStep({ call, with: args = {} }: JsonObject): MockedStep {
  const spec = findBlockByCall(String(call));
  if (spec === undefined) return { kind: 'block' };
  // Which language they are in decides what expressions say, and not whether there are any.
  return spec.kind === 'human'
    ? { kind: 'approval', block: spec.type }
    : { kind: 'block', ...blockStep(spec.type, compileTemplate(args as Json, 'cel')) };
}
