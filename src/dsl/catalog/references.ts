import { shortText } from '../problems';
import { SEMANTIC_VERSION } from './semantic-version';

/** Namespace and name of a flow, as OWS has them (schema, "document"): a DNS label. */
export const FLOW_NAME = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/;

/** The version that stands for the highest one (OWS dsl-reference, "Workflow Process"). */
export const LATEST = 'latest';

/** A flow by its name. */
export interface FlowReference {
  readonly namespace: string;
  readonly name: string;
  /** A semantic version, or `latest`. */
  readonly version: string;
}

/** Reads `namespace/name:version`, `namespace/name:latest` or `namespace/name`; or says what is wrong with it. */
export function parseFlowReference(text: string): FlowReference | { problem: string } {
  const [, namespace = '', name = '', version = LATEST] = /^([^/:]+)\/([^/:]+)(?::(.+))?$/.exec(text) ?? [];
  if (!FLOW_NAME.test(namespace) || !FLOW_NAME.test(name)) {
    return { problem: `got "${shortText(text)}", expected namespace/name:version such as shop/refund:1.0.0` };
  }
  if (version !== LATEST && !SEMANTIC_VERSION.test(version)) {
    return {
      problem: `got the version "${shortText(version)}", expected a semantic version such as 1.0.0, or ${LATEST}`,
    };
  }
  return { namespace, name, version };
}

/** `namespace/name:version` */
export function formatFlowReference({ namespace, name, version }: FlowReference): string {
  return `${namespace}/${name}:${version}`;
}

/** A function of a catalog. */
export interface FunctionReference {
  readonly name: string;
  readonly version: string;
  /** As `use.catalogs` calls it, or `default`. */
  readonly catalog: string;
}

/** The catalog that is there without being named by `use.catalogs` (OWS dsl, "Default Catalog"). */
export const DEFAULT_CATALOG = 'default';

/** Letters, digits, "_", "." and "-"; the name is also the name of a folder. */
const FUNCTION_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** Reads `name:version@catalog` (OWS dsl, "Using Cataloged Functions"), or says what is wrong with it. */
export function parseFunctionReference(text: string): FunctionReference | { problem: string } {
  const [, name = '', version = '', catalog = ''] = /^([^:@]*):([^@]*)@(.*)$/.exec(text) ?? [];
  if (!FUNCTION_NAME.test(name) || catalog === '') {
    return { problem: `got "${shortText(text)}", expected name:version@catalog such as log:1.0.0@${DEFAULT_CATALOG}` };
  }
  if (!SEMANTIC_VERSION.test(version)) {
    return { problem: `got the version "${shortText(version)}", expected a semantic version such as 1.0.0` };
  }
  return { name, version, catalog };
}
