import { isJsonObject, type JsonObject } from '../json';

const HERE = 'a flow here is a document of the Open Workflow Specification 1.0.x, with document and do (docs/dsl.md)';

/** Documents of other systems, by keys that stand at their top; none of them has `document` or `do`. */
const FOREIGN: readonly (readonly [keys: readonly string[], system: string])[] = [
  [['StartAt', 'States'], 'a state machine in Amazon States Language (Step Functions)'],
  [['apiVersion', 'kind', 'spec'], 'a Kubernetes resource, such as a workflow of Argo'],
  [['on', 'jobs'], 'a workflow of GitHub Actions'],
  [['jobs', 'name'], 'a workflow of GitHub Actions'],
  [['nodes', 'connections'], 'a workflow of n8n'],
  [['schemaVersion', 'tasks'], 'a workflow of Conductor'],
  [['id', 'namespace', 'tasks'], 'a flow of Kestra'],
  [['states', 'start'], 'a document of Serverless Workflow 0.8 or older'],
  [['specVersion', 'states'], 'a document of Serverless Workflow 0.8 or older'],
  [['id', 'states'], 'a document of Serverless Workflow 0.8 or older'],
  [['main'], 'a workflow of Google Cloud Workflows'],
];

/** What a document of another system is, so that its problems are not listed key by key; undefined where it is none. */
export function explainForeignDocument(document: JsonObject): string | undefined {
  if (document.document !== undefined || document.do !== undefined) return undefined;
  if (isJsonObject(document.flow) && document.flow.document !== undefined)
    return 'this is what a flow is started with; its document is what stands under flow';
  const system = FOREIGN.find(([keys]) => keys.every((key) => document[key] !== undefined));
  if (system === undefined) return undefined;
  if (system[0].includes('main') && !isJsonObject(document.main)) return undefined;
  return `this is ${system[1]}; ${HERE}`;
}
