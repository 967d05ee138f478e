import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type { DeploymentAnswer, DeploymentQuestion } from '../../dsl/admission';
import { flowError } from '../../dsl/errors';
import { AUTHORIZE_DEPLOYMENT } from '../../dsl/names';
import type { Cli } from '../cli';
import { CommandError } from '../command-error';
import { EXIT } from '../exit-codes';
import { ANSWER_TIMEOUT_MS, isSilence } from '../no-answer';
import { unreadableError } from '../unreadable-flow';
import { hasWorker } from '../worker-presence';
import type { Deployment } from './deployment';

/**
 * Asks the workers whether a deployment without a token can ever run. Throws BLW_TOKEN_REQUIRED (exit code 1) where they say that it cannot;
 * where none answers, says that it is not known.
 */
export async function refuseWhereTokenIsNeeded(
  client: Client,
  { tenant, taskQueue }: Pick<Deployment, 'tenant' | 'taskQueue'>,
  { err }: Cli,
): Promise<void> {
  const needsToken = (await hasWorker(client, taskQueue)) ? await ask(client, tenant, taskQueue) : undefined;
  if (needsToken === false) return;
  if (needsToken === true) {
    const detail = `the workers of ${taskQueue} start no flow without a token; nothing was deployed`;
    const help = 'Add --token-file FILE and --seal-key FILE.';
    throw new CommandError(flowError('BLW_TOKEN_REQUIRED', detail), EXIT.failed, help);
  }
  err.line(
    `${err.style.yellow('note:')} no worker of ${taskQueue} said whether a token is needed; where they run with --auth jwt, each run fails that was deployed without --token-file`,
  );
}

/** Undefined where no worker answers, or one of a version that does not know the question, or its answer cannot be read here. */
async function ask(client: Client, tenant: string, taskQueue: string): Promise<boolean | undefined> {
  const question: DeploymentQuestion = { question: 'needsToken', tenant };
  try {
    const answer: DeploymentAnswer = await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      client.workflow.execute(AUTHORIZE_DEPLOYMENT, {
        workflowId: `beamline-authorize:${randomUUID()}`,
        taskQueue,
        args: [question],
        workflowExecutionTimeout: ANSWER_TIMEOUT_MS,
      }),
    );
    return answer.needsToken;
  } catch (error) {
    if (error instanceof WorkflowFailedError || isSilence(error) || unreadableError(error) !== undefined)
      return undefined;
    throw error;
  }
}
