import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';
import { LoopbackServers } from '../helpers/loopback';

const FLOW = JSON.stringify({
  document: { dsl: '1.0.3', namespace: 'a', name: 'b', version: '1.0.0' },
  do: [{ s: { set: { x: 1 } } }],
});

/** The promise of the command line. */
const LIMIT_MS = 15_000;

describe('where Temporal cannot be reached', () => {
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-unreachable-'));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  it.each([[['run', '-']], [['approvals', 'list']], [['graph', '--run', 'order-7']], [['worker']]])(
    'beamline %j says so within 15 seconds and exits with 3',
    async (args) => {
      const address = `127.0.0.1:${await new LoopbackServers().closedPort()}`;
      const startedAt = Date.now();
      const { code, stdout, stderr } = await runCli([...args, '--address', address], { stdin: FLOW, cwd });
      expect(Date.now() - startedAt).toBeLessThan(LIMIT_MS);
      expect(code).toBe(3);
      // A worker's log is there, too.
      expect(stdout).toMatch(args[0] === 'worker' ? /"message":"worker did not start"\}\n$/ : /^$/);
      expect(stderr).toMatch(/^error: Temporal does not answer at .* \[BLW_TEMPORAL_UNREACHABLE\]\n {2}.+\n$/);
      expect(stderr).toContain(address);
    },
    LIMIT_MS + 5_000,
  );

  it('takes the address from TEMPORAL_ADDRESS', async () => {
    const address = `127.0.0.1:${await new LoopbackServers().closedPort()}`;
    const { code, stderr } = await runCli(['worker'], {
      cwd,
      env: { TEMPORAL_ADDRESS: address, BEAMLINE_POOLS: 'gpu' },
    });
    expect(code).toBe(3);
    expect(stderr).toContain(address);
  }, 20_000);
});
