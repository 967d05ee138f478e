import type { WorkflowDefinitionOptions } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';

/**
 * For workflows that outlive every build, where workers are versioned: they go on with the current build, and so do the flows
 * that they start. The server takes no word on it from a worker that is not versioned. (Temporal docs, "Worker Versioning")
 */
export function onCurrentBuild(): WorkflowDefinitionOptions {
  return workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior: 'AUTO_UPGRADE' } : {};
}
