import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInProcess } from '../helpers/cli-in-process';

const FLOW = `
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
do:
  - getOrder: { call: http, with: { method: get, endpoint: 'https://api.example.com' } }
  - store: { call: sql.execute, with: { database: shop, statement: DELETE FROM t } }
`;

describe('mistakes in a file of mocks', () => {
  let cwd: string;

  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-mocks-'));
    writeFileSync(join(cwd, 'flow.yaml'), FLOW);
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  /** No server is asked. */
  const run = async (mocks: string, ...command: string[]) => {
    writeFileSync(join(cwd, 'mocks.yaml'), mocks);
    return await runInProcess([...command, '--mocks', 'mocks.yaml'], { env: {}, cwd });
  };

  it.each([[['run', 'flow.yaml', '--dry-run']], [['step', 'flow.yaml', 'store']]])(
    'have their places, all at once: %j',
    async (command) => {
      const { code, stderr } = await run(
        `store:
  - { timeout: true }
  - output:
      rowsAffected: many
getOrdr: { output: 1 }
getOrder: { error: { code: BLW_HTTP_NETWORK } }
`,
        ...command,
      );
      expect(
        stderr,
      ).toBe(`error: mocks.yaml:4:7 "store": answer 2: output.rowsAffected: got "many", expected a whole number
  mocks.yaml:5:1 no step is called "getOrdr"; did you mean "getOrder"?
  mocks.yaml:6:22 "getOrder": error: code: got "BLW_HTTP_NETWORK", expected one of docs/errors.md; such as BLW_HTTP_URL, BLW_HTTP_HOST_DENIED, BLW_HTTP_STATUS, BLW_HTTP_UNREACHABLE, BLW_HTTP_OUTCOME_UNKNOWN, BLW_HTTP_TIMEOUT, BLW_HTTP_TOO_LARGE, BLW_HTTP_REDIRECT, BLW_HTTP_CONTENT, BLW_HTTP_CHECKSUM [BLW_START_INVALID]
  docs/sandbox.md, "Mocks", says what a step may be answered.
`);
      expect(code).toBe(2);
    },
  );

  it('of syntax are listed, too', async () => {
    const { code, stderr } = await run('a: 1\na: 2\nb: 1\nb: 2\n', 'run', 'flow.yaml', '--dry-run');
    expect(stderr).toMatch(/^error: --mocks: mocks\.yaml:2:1 .*\n {2}mocks\.yaml:4:1 .* \[BLW_USAGE\]$/m);
    expect(code).toBe(2);
  });

  it('are in the JSON, too', async () => {
    const { stdout } = await run('x: {}\n', 'run', 'flow.yaml', '--dry-run', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'NotStarted',
      error: { code: 'BLW_START_INVALID', data: { problems: [expect.stringMatching(/^mocks\.yaml:1:1 no step/)] } },
    });
  });
});
