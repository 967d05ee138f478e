import { FLOW_NAME, LATEST, parseFlowReference } from '../catalog/references';
import { isJsonObject, type JsonObject } from '../json';
import type { TaskSite } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { checkScript } from './check-script';
import type { Checker, Path } from './checker';

/** Processes that OWS has beside flows, and what to do instead. */
export const UNSUPPORTED_PROCESSES: Readonly<Record<string, string>> = {
  container: 'call a service that runs it (call: http), or write a script (run: script)',
  shell: 'call a service that runs it (call: http), or write a script (run: script)',
};

const NAME = { regex: FLOW_NAME, expected: 'letters, digits and -, at most 63 (DNS label)' };

/** OWS dsl-reference, "Run": of its processes flows, which run as child workflows, and scripts, which are steps. */
export function checkRun(site: TaskSite): void {
  const { task, path, context } = site;
  const { checker } = context;
  const runPath = [...path, 'run'];
  const processes = ['workflow', 'script', ...Object.keys(UNSUPPORTED_PROCESSES)];
  const run = checker.shaped(task.run, runPath, 'run', {
    optional: [...processes, 'await', 'return'],
    example:
      '{ workflow: { namespace: …, name: …, version: … } } or { script: { language: js, code: … } }; shell commands are not supported',
  });
  if (run === undefined) return;
  const given = processes.filter((process) => run[process] !== undefined);
  for (const process of given.filter((name) => name in UNSUPPORTED_PROCESSES)) {
    const message = `run.${process} is not supported yet; ${UNSUPPORTED_PROCESSES[process]}`;
    checker.report('BLW_UNSUPPORTED', [...runPath, process], message, 'key');
  }
  if (given.length !== 1) checker.report('BLW_VALUE_INVALID', runPath, `run: expected one of ${processes.join(', ')}`);
  checker.boolean(run.await, [...runPath, 'await'], 'run: await');
  if (run.script !== undefined) checkScript(site, run, runPath);
  if (run.workflow === undefined) return;
  refuseReturn(run, runPath, checker);
  checkWorkflow(run, [...runPath, 'workflow'], site);
}

/** `return` picks a stream or the exit code of a process; a flow has none of them. */
function refuseReturn(run: JsonObject, path: Path, checker: Checker): void {
  if (run.return === undefined) return;
  const message = 'run: return is for processes; the output of a flow is what it puts out (change it with output.as)';
  checker.report('BLW_VALUE_INVALID', [...path, 'return'], message, 'key');
}

/** OWS dsl-reference, "Workflow Process". Names are literal, so that a flow shows what it runs. */
function checkWorkflow(run: JsonObject, path: Path, { scope, context }: TaskSite): void {
  const { checker, expressions, library, resolution } = context;
  const workflow = checker.shaped(run.workflow, path, 'run: workflow', {
    required: ['namespace', 'name', 'version'],
    optional: ['input'],
  });
  if (workflow === undefined) return;
  const site: ExpressionSite = { path: [...path, 'input'], scope, place: 'definition' };
  expressions.template(workflow.input, site);
  const namespace = checker.text(workflow.namespace, [...path, 'namespace'], 'namespace', NAME);
  const name = checker.text(workflow.name, [...path, 'name'], 'name', NAME);
  const version = checker.text(workflow.version, [...path, 'version'], 'version');
  if (namespace === undefined || name === undefined || version === undefined) return;
  const reference = parseFlowReference(`${namespace}/${name}:${version}`);
  if ('problem' in reference) {
    const message = `version: got "${version}", expected a semantic version such as 1.0.0, or ${LATEST}`;
    checker.report('BLW_VALUE_INVALID', [...path, 'version'], message);
    return;
  }
  if (library === undefined) {
    resolution.leaveOpen(`flow ${namespace}/${name}:${version}`);
    return;
  }
  const found = library.findFlow(reference);
  if ('code' in found) checker.report(found.code, path, `run: ${found.message}`);
  else checkInputShape(workflow, path, checker, found.document);
}

/** A literal input that cannot fit a flow which wants an object is better found now than when the step runs. */
function checkInputShape(workflow: JsonObject, path: Path, checker: Checker, document: JsonObject): void {
  const input = isJsonObject(document.input) && isJsonObject(document.input.schema) ? document.input.schema : {};
  const required = isJsonObject(input.document) ? input.document.required : undefined;
  if (!Array.isArray(required) || required.length === 0 || workflow.input !== undefined) return;
  const message = `run: the flow wants an input with ${required.join(', ')}, but "input" is missing`;
  checker.report('BLW_ARG_INVALID', path, message, 'key');
}
