import { type MockedKind, parseMock } from '../dry-run/mock';
import { isJsonObject, type JsonObject } from '../json';
import { isScriptTask } from '../script';
import type { TaskSite } from './check-context';
import { isFunctionCall } from './check-function';

/** Checks a step's `metadata.mock`: what it is answered in a dry run. */
export function checkMock(kind: string, { task, path, context: { checker, use } }: TaskSite): void {
  if (!isJsonObject(task.metadata) || task.metadata.mock === undefined) return;
  const at = [...path, 'metadata', 'mock'];
  const mocked = kind === 'call' && isFunctionCall(task.call, use) ? 'function' : mockedKindOf(kind, task);
  if (mocked === undefined) {
    const message = `metadata.mock has no effect on a ${kind} task, which reaches nothing; write it on a call, run, listen or emit`;
    checker.report('BLW_UNSUPPORTED', at, message, 'key');
    return;
  }
  const parsed = parseMock(task.metadata.mock, mocked);
  if ('problem' in parsed) checker.report('BLW_VALUE_INVALID', at, `metadata: mock: ${parsed.problem}`);
}

function mockedKindOf(kind: string, task: JsonObject): MockedKind | undefined {
  switch (kind) {
    case 'call':
      return task.call === 'human.approval' ? 'approval' : 'block';
    case 'run':
      return isScriptTask(task) ? 'block' : 'subflow';
    case 'listen':
    case 'emit':
      return kind;
    default:
      return undefined;
  }
}
