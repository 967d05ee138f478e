/** The workflow types of the worker; the entry of the bundle that runs in Temporal's isolate. */
export { approval } from './approval';
export { authorizeDeployment } from './authorize-deployment';
export { eventBus } from './event-bus';
export { repeatFlow } from './repeat-flow';
export { runFlow } from './run-flow';
export { runWindow } from './run-window';
export { unknownWorkflow as default } from './unknown-workflow';
