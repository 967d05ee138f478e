import type { StepIdentity } from '../../src/activities/block';
import type { RunningAttempt } from '../../src/activities/step-activities';
import { flowError } from '../../src/dsl/errors';
import type { LogFields } from '../../src/worker/logger';
import { stepLog } from '../../src/worker/step-log';

const step = { tenant: 'acme', flowId: 'f', stepId: '/do/0/a', blockType: 'http.request', attempt: 2 } as StepIdentity;

async function failWith(error: Error): Promise<LogFields | undefined> {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const log = stepLog({ log: (_, message, fields) => lines.push({ message, fields }) });
  const failing = log(step, () => Promise.reject(error), {} as RunningAttempt);
  await expect(failing).rejects.toBe(error);
  expect(lines).toHaveLength(1);
  expect(lines[0]?.message).toBe('step failed');
  return lines[0]?.fields;
}

test('tells the code of an error, not what it says', async () => {
  const fields = await failWith(flowError('BLW_ARG_INVALID', 'a value of the flow'));
  expect(fields).toMatchObject({ error_code: 'BLW_ARG_INVALID', tenant_id: 'acme', attempt: 2, status: 'failed' });
  expect(JSON.stringify(fields)).not.toContain('a value of the flow');
});

test('tells where a defect is, not what it says', async () => {
  const fields = await failWith(new TypeError('a value of the flow\n    at a value of the flow'));
  expect(fields?.stack).toContain('step-log.test');
  expect(JSON.stringify(fields)).not.toContain('a value of the flow');
});
