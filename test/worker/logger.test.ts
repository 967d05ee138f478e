import { Mask } from '../../src/activities/secrets/mask';
import { type LogFields, maskedLogger, prettyLine } from '../../src/worker/logger';

test('a value that is masked is in no text of a line', () => {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const mask = new Mask();
  mask.add('p+ss/w0rd');
  const logger = maskedLogger({ log: (_, message, fields) => lines.push({ message, fields }) }, (text) =>
    mask.text(text),
  );
  logger.log('error', 'no p+ss/w0rd here', { error: 'at postgres://u:p%2Bss%2Fw0rd@host', steps: 3, isLast: true });
  logger.log('info', 'worker stopped');
  expect(lines).toEqual([
    { message: 'no *** here', fields: { error: 'at postgres://u:***@host', steps: 3, isLast: true } },
    { message: 'worker stopped', fields: {} },
  ]);
});

test('a line for people cannot be made up by an id', () => {
  const at = new Date('2026-11-28T13:00:00.500Z');
  const fields = {
    flow_id: 'a\n13:00:00.000 ERROR made up\u001b[2J',
    stack: 'at one\nat two',
    attempt: 2,
    none: undefined,
  };
  expect(prettyLine(at, 'warn', 'step failed', fields)).toBe(
    '13:00:00.500 WARN  step failed  flow_id=a\\u000a13:00:00.000 ERROR made up\\u001b[2J  stack=at one\nat two  attempt=2\n',
  );
});
