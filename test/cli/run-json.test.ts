import { tmpdir } from 'node:os';
import { runCli } from '../helpers/cli';
import { LoopbackServers } from '../helpers/loopback';

const flow = (tasks: unknown) =>
  JSON.stringify({ document: { dsl: '1.0.3', namespace: 'a', name: 'b', version: '1.0.0' }, do: tasks });
const GOOD = flow([{ s: { set: { x: 1 } } }]);

describe('beamline run --json answers with one object, whatever happens', () => {
  it.each([
    ['an invalid flow', flow([{ s: { call: 'htp' } }]), [], 2, 'BLW_FLOW_INVALID'],
    ['an input that is no JSON', GOOD, ['--input', '{'], 2, 'BLW_USAGE'],
    ['an invalid tenant', GOOD, ['--tenant', 'a b'], 2, 'BLW_START_INVALID'],
    ['no Temporal', GOOD, [], 3, 'BLW_TEMPORAL_UNREACHABLE'],
  ])(
    '%s',
    async (_, stdin, flags, exitCode, error) => {
      const address = `127.0.0.1:${await new LoopbackServers().closedPort()}`;
      const { code, stdout } = await runCli(['run', '-', '--json', '--address', address, ...flags], {
        stdin,
        cwd: tmpdir(),
      });
      expect(code).toBe(exitCode);
      expect(JSON.parse(stdout)).toMatchObject({ status: 'NotStarted', error: { code: error } });
    },
    20_000,
  );
});
