import { runInProcess } from '../helpers/cli-in-process';

test.each([
  ['approvals list', ['approvals', 'list']],
  ['usage', ['usage']],
  ['dlq list', ['dlq', 'list']],
  ['dlq retry', ['dlq', 'retry', '--yes']],
  ['redrive', ['redrive', '--dry-run']],
  ['deploy', ['deploy', 'shop/order', '--delete']],
  ['deploy list', ['deploy', 'list']],
  ['emit', ['emit', '--type', 't', '--source', '/s']],
])('%s refuses a name that no tenant can have, before it asks anybody', async (_, args) => {
  for (const name of ['a b', '.x', '']) {
    const { code, stdout, stderr } = await runInProcess([...args, '--tenant', name], {
      env: { TEMPORAL_ADDRESS: '127.0.0.1:1' },
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(
      `--tenant: got ${JSON.stringify(name)}, expected 1 to 63 letters, digits, ".", "_" or "-", the first a letter or digit`,
    );
  }
});
