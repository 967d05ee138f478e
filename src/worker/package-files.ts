import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Folder of the installed package, found upwards from this file, which runs from `src` in tests and from `dist` else. */
function findPackageRoot(): string {
  for (let folder = __dirname; folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
  }
  throw new Error(`no package.json in or above ${__dirname}`);
}

const PACKAGE_ROOT = findPackageRoot();

/** Code of the workflows, bundled at build time. */
export const WORKFLOW_BUNDLE = join(PACKAGE_ROOT, 'dist', 'workflow-bundle.js');

/** Reads payloads around the workflows; in them, it is part of the bundle. */
export const PAYLOAD_CONVERTER = join(PACKAGE_ROOT, 'dist', 'src', 'workflows', 'payload-converter.js');

/** The same for clients, which throw on what they cannot read. */
export const LARGE_PAYLOAD_CONVERTER = join(PACKAGE_ROOT, 'dist', 'src', 'workflows', 'large-payload-converter.js');

/** Makes failures of errors, in the workflows and around them. */
export const FAILURE_CONVERTER = join(PACKAGE_ROOT, 'dist', 'src', 'workflows', 'failure-converter.js');

/** Entry of the processes that run cpu and gpu blocks, and SQL on SQLite. */
export const CHILD_ENTRY = join(PACKAGE_ROOT, 'dist', 'src', 'activities', 'process', 'child-main.js');

/** Entry of the thread that runs the code of all flows of a worker. */
export const FLOW_THREAD_ENTRY = join(PACKAGE_ROOT, 'dist', 'src', 'worker', 'flow-thread', 'thread-main.js');

/** Entry of the processes that run one script each. */
export const SCRIPT_ENTRY = join(PACKAGE_ROOT, 'dist', 'src', 'activities', 'script', 'child', 'child-main.js');

/** Entry of the process that evaluates expressions in jq and JSONata. */
export const EXPRESSION_HOST_ENTRY = join(PACKAGE_ROOT, 'dist', 'src', 'activities', 'expressions', 'host-main.js');

/** JSON Schema of the Open Workflow Specification, as its authors published it. */
export const SPECIFICATION_SCHEMA = join(PACKAGE_ROOT, 'schemas', 'open-workflow-1.0.3.yaml');

/** Flows that come with the package. */
export const EXAMPLES_FOLDER = join(PACKAGE_ROOT, 'examples');

export const PACKAGE_VERSION: string = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')).version;
