import type { LogFields, Logger } from '../../src/worker/logger';
import { sdkLogger } from '../../src/worker/runtime';

describe('the logger of the SDK', () => {
  const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
  const ours: Logger = { log: (level, message, fields) => lines.push({ level, message, fields }) };
  const logger = sdkLogger(ours);
  beforeEach(() => {
    lines.length = 0;
  });

  it.each([
    ['TRACE', 'trace'],
    ['DEBUG', 'trace'],
    ['INFO', 'debug'],
    ['WARN', 'warn'],
    ['ERROR', 'error'],
  ] as const)('writes %s as %s', (level, expected) => {
    logger.log(level, 'a message');
    expect(lines).toEqual([{ level: expected, message: 'a message', fields: {} }]);
  });

  it('keeps the metadata that is safe to log, in our names, and no other', () => {
    logger.warn('odd', {
      taskQueue: 'q-io',
      workflowId: 'f-1',
      attempt: 2,
      taskToken: 'secret',
      args: [{ password: 1 }],
    });
    expect(lines[0]?.fields).toEqual({ task_queue: 'q-io', flow_id: 'f-1', attempt: 2 });
  });

  it('logs why something of the SDK failed, but of what is of a flow only the code, or the place in the code', () => {
    logger.error('Worker failed', { error: new Error('connection lost') });
    logger.warn('Workflow failed', { workflowId: 'f-1', error: new Error('/do/0/x: got "secret" [BLW_DATA_INVALID]') });
    logger.error('Failed to process Workflow Activation', { workflowId: 'f-1', error: new TypeError('got "secret"') });
    expect(lines.map(({ fields }) => fields)).toEqual([
      { error: 'connection lost' },
      { flow_id: 'f-1', error_code: 'BLW_DATA_INVALID' },
      { flow_id: 'f-1', error_name: 'TypeError', stack: expect.stringContaining('runtime.test') },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('does not repeat what the log of flows says, and knows types that others made up by no name', () => {
    logger.warn('Workflow failed', { workflowType: 'runFlow', workflowId: 'f-1' });
    logger.warn('Workflow failed', { workflowType: 'made-up', workflowId: 'f-2' });
    expect(lines.map(({ fields }) => fields)).toEqual([{ flow_id: 'f-2', workflow_type: 'other' }]);
  });

  it('tells the kind of a failed workflow task, and no more of it', () => {
    const failure = 'Failure { message: "secret", failure_info: None }), force_cause: NonDeterministicError }';
    logger.warn('Failing workflow task', { run_id: 'r', failure });
    expect(lines[0]?.fields).toEqual({ run_id: 'r', cause: 'NonDeterministicError' });
  });

  it('writes for debugging only that the core tries a call again', () => {
    logger.warn('gRPC call poll_workflow_task_queue retried 6 times', { target: 'temporalio_client::retry' });
    expect(lines[0]?.level).toBe('debug');
  });

  it.each(['Activity failed', 'No workflows registered, not polling for workflow tasks'])(
    'does not repeat "%s"',
    (message) => {
      logger.warn(message, { error: new Error('x') });
      expect(lines).toEqual([]);
    },
  );
});
