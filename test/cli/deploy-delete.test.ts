import { runInProcess } from '../helpers/cli-in-process';

test('deploy --delete refuses --token-file, which nobody would check, and names who decides', async () => {
  const { code, stdout, stderr } = await runInProcess(['deploy', 'a/b', '--delete', '--token-file', 'token.jwt'], {
    env: { TEMPORAL_ADDRESS: '127.0.0.1:1' },
  });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('--token-file counts for nothing with --delete');
  expect(stderr).toContain("Temporal's own authorizer. Leave --token-file out.");
});
