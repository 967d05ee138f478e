import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';

const VALID = `document: { dsl: '1.0.3', namespace: shop, name: greet, version: '1.0.0' }
evaluate: { language: cel }
do:
  - both:
      do:
        - greet:
            set: { message: "Hello" }
  - wait:
      wait: PT1S
`;
const INVALID = `document: { dsl: '1.0.3', namespace: shop, name: greet, version: '1.0.0' }
do:
  - greet:
      sett: { message: Hello }
  - fetch:
      call: htpt
      with: {}
`;

/** Two that are well, four that do not compile, one that is known later. */
const SCRIPTS = `document: { dsl: '1.0.3', namespace: shop, name: scripts, version: '1.0.0' }
do:
  - loop: { call: script.run, with: { code: 'for (;;) {}' } }
  - later: { call: script.run, with: { code: '\${ .code }' } }
  - body:
      call: script.run
      with:
        code: |
          const a = 1;
          return a +;
  - process:
      run:
        script:
          language: js
          code: |
            return 5;
  - imports:
      run: { script: { language: js, code: "import net from 'node:net'" } }
  - fine: { run: { script: { language: js, code: "import { readFileSync } from 'node:fs'; await 1" } } }
  - closing: { call: script.run, with: { code: '}); while (true) {} (function () {' } }
`;

describe('beamline validate', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-validate-'));
    writeFileSync(join(folder, 'good.yaml'), VALID);
    writeFileSync(join(folder, 'bad.yaml'), INVALID);
    writeFileSync(join(folder, 'broken.yaml'), 'document: [unclosed\n');
    writeFileSync(join(folder, 'latin1.yaml'), Buffer.from('document: { title: Bestellung f\xfcr }', 'latin1'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const validate = (...args: string[]) => runCli(['validate', ...args], { cwd: folder });

  it('tells name and size of a valid flow', async () => {
    expect(await validate('good.yaml')).toEqual({
      code: 0,
      stdout: 'ok: good.yaml shop/greet:1.0.0, 3 steps\n',
      stderr: '',
    });
  });

  it('says of each step which way it goes, and why', async () => {
    const get = 'call: http, with: { method: get, endpoint: http://a.example }';
    const steps = [
      `read: { ${get} }`,
      `there: { ${get}, metadata: { dispatch: local } }`,
      `once: { ${get}, metadata: { retry: { maximumAttempts: 1 } } }`,
      `post: { ${get.replace('get', 'post')} }`,
      `any: { ${get.replace('method: get', "method: '${ .method }'")} }`,
      'write: { call: fs.put, with: { path: a, content: b } }',
      'wait: { call: human.approval, with: { title: a } }',
    ];
    const text = `${VALID.split('\n', 1).join()}\ndo:\n${steps.map((step) => `  - ${step}\n`).join('')}`;
    const { code, stdout } = await runCli(['validate', '-', '--explain'], { stdin: text });
    expect(code).toBe(0);
    const [, header, ...rows] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^ {2}STEP +BLOCK +POOL +DISPATCH +WHY$/);
    expect(rows.map((row) => row.trim().split(/ {2,}/)).map(([path, , , dispatch]) => [path, dispatch])).toEqual([
      ['/do/0/read', 'auto'],
      ['/do/1/there', 'local'],
      ['/do/2/once', 'queue'],
      ['/do/3/post', 'queue'],
      ['/do/4/any', 'auto'],
      ['/do/5/write', 'queue'],
      ['/do/6/wait', 'queue'],
    ]);
    const json = await runCli(['validate', '-', '--explain', '--json'], { stdin: text });
    expect(JSON.parse(json.stdout).files[0].steps[2]).toEqual({
      path: '/do/2/once',
      block: 'http.request',
      pool: 'io',
      dispatch: 'queue',
      why: 'has one attempt only',
    });
  });

  it('lists every problem as file:line:column CODE message, and how many there are', async () => {
    const { code, stdout } = await validate('bad.yaml', 'good.yaml');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^bad\.yaml:4:7 BLW_TASK_UNKNOWN .*did you mean "set"/m);
    expect(stdout).toMatch(/^bad\.yaml:6:13 BLW_BLOCK_UNKNOWN .*htpt/m);
    expect(stdout).toMatch(/^ok: good\.yaml shop\/greet:1\.0\.0, 3 steps$/m);
    expect(stdout).toMatch(/^\d+ problems in 1 file$/m);
  });

  it('has jq check expressions in jq, and lists all problems in the order of the text', async () => {
    const header = VALID.split('\n', 1).join();
    const steps = [
      'a: { set: .a | }',
      'b: { sett: .b }',
      'c: { set: $contxt }',
      'd: { set: data.x }',
      'e: { if: .a && .b, wait: PT1S }',
    ];
    const text = `${header}\ndo:\n${steps.map((step) => `  - ${step}\n`).join('')}`;
    const { code, stdout } = await runCli(['validate', '-'], { stdin: text });
    expect(code).toBe(2);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^<stdin>:3:15 BLW_EXPR_SYNTAX \$\{ \.a \| \}: syntax error, it ends too early/),
      expect.stringMatching(/^<stdin>:4:10 BLW_TASK_UNKNOWN/),
      expect.stringMatching(/^<stdin>:5:15 BLW_EXPR_SYNTAX .*\$contxt is not known here; did you mean \$context\?/),
      expect.stringMatching(/^<stdin>:6:15 BLW_EXPR_SYNTAX .*data\/0 is not defined; .* write \.name for data\.name/),
      expect.stringMatching(/^<stdin>:7:14 BLW_EXPR_SYNTAX .*jq writes `and` for &&/),
      '5 problems in 1 file',
      '',
    ]);
  });

  it('reads standard input for -', async () => {
    const good = await runCli(['validate', '-'], { stdin: VALID });
    expect(good).toEqual({ code: 0, stdout: 'ok: <stdin> shop/greet:1.0.0, 3 steps\n', stderr: '' });
    const bad = await runCli(['validate', '-'], { stdin: INVALID });
    expect(bad.stdout).toMatch(/^<stdin>:4:7 BLW_TASK_UNKNOWN/);
  });

  it('reads JSON, and text with a byte order mark', async () => {
    const json = {
      document: { dsl: '1.0.3', namespace: 'a', name: 'b', version: '1.0.0' },
      do: [{ s: { set: { x: 1 } } }],
    };
    const { code, stdout } = await runCli(['validate', '-'], { stdin: `\uFEFF${JSON.stringify(json)}` });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ok: <stdin> a/b:1.0.0, 1 step\n' });
  });

  it.each([
    ['text that is not UTF-8', 'latin1.yaml', /^latin1\.yaml:1:1 BLW_DOC_SYNTAX the document is not UTF-8/],
    ['text that is not YAML', 'broken.yaml', /^broken\.yaml:\d+:\d+ BLW_DOC_SYNTAX /],
  ])('reports %s with its position', async (_, file, line) => {
    const { code, stdout } = await validate(file);
    expect(code).toBe(2);
    expect(stdout).toMatch(line);
    expect(stdout).toMatch(/^\d+ problems? in 1 file$/m);
  });

  it('says what is wrong with a file that cannot be read, and checks the others', async () => {
    const { code, stdout, stderr } = await validate('missing.yaml', 'good.yaml', '.');
    expect(code).toBe(2);
    expect(stdout).toBe('ok: good.yaml shop/greet:1.0.0, 3 steps\n');
    expect(stderr).toContain('error: missing.yaml: there is no such file [BLW_USAGE]');
    expect(stderr).toContain('error: .: is a folder, expected a file [BLW_USAGE]');
  });

  it('prints one JSON object with --json', async () => {
    const { code, stdout, stderr } = await validate('good.yaml', 'bad.yaml', 'missing.yaml', '--json');
    expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
    const { files } = JSON.parse(stdout);
    expect(files).toHaveLength(3);
    expect(files[0]).toEqual({ file: 'good.yaml', valid: true, flow: 'shop/greet:1.0.0', problems: [] });
    expect(files[1]).toMatchObject({ file: 'bad.yaml', valid: false });
    expect(files[1].problems).toContainEqual({
      code: 'BLW_BLOCK_UNKNOWN',
      line: 6,
      column: 13,
      path: '/do/1/fetch/call',
      message: expect.stringContaining('htpt'),
    });
    expect(files[2]).toMatchObject({ file: 'missing.yaml', valid: false, problems: [{ code: 'BLW_USAGE' }] });
  });

  it('refuses to read standard input twice', async () => {
    const { code, stderr } = await validate('-', '-');
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('- can be given only once') });
  });

  it('shows no control characters of a document', async () => {
    const { stdout } = await runCli(['validate', '-'], { stdin: '{"do": [], "\\u001b[31mred": 1}' });
    expect(stdout).toContain('red');
    expect(stdout).not.toContain('\u001b');
  });

  it('compiles the scripts of a flow, and runs nothing of them', async () => {
    writeFileSync(join(folder, 'scripts.yaml'), SCRIPTS);
    const { code, stdout } = await validate('scripts.yaml');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(
        /^scripts\.yaml:8:15 BLW_SCRIPT_SYNTAX the script does not compile: line 2: SyntaxError: .+ \(at \/do\/2\/body\/with\/code\)$/,
      ),
      expect.stringMatching(
        /^scripts\.yaml:15:17 BLW_SCRIPT_SYNTAX the script does not compile: line 1: SyntaxError: .+code\)$/,
      ),
      expect.stringMatching(
        /^scripts\.yaml:18:\d+ BLW_SCRIPT_SYNTAX the script does not compile: line 1: there is no module "net": scripts can import node:fs and node:process/,
      ),
      expect.stringMatching(
        /^scripts\.yaml:20:\d+ BLW_SCRIPT_SYNTAX the script does not compile: line 1: SyntaxError: /,
      ),
      '4 problems in 1 file',
      '',
    ]);
    expect(code).toBe(2);
  });

  it('compiles scripts of functions, and says of one that is nested too deeply', async () => {
    const header = "document: { dsl: '1.0.3', namespace: shop, name: scripts, version: '1.0.0' }\n";
    const deep = `${'['.repeat(3_000)}${']'.repeat(3_000)}`;
    const text = `${header}use:
  functions:
    sum:
      do:
        - add: { call: script.run, with: { code: 'return a +' } }
do:
  - deep: { call: script.run, with: { code: 'return ${deep}' } }
`;
    writeFileSync(join(folder, 'functions.yaml'), text);
    const { code, stdout } = await validate('functions.yaml');
    expect(stdout).toMatch(
      /^functions\.yaml:6:\d+ BLW_SCRIPT_SYNTAX .*\(at \/use\/functions\/sum\/do\/0\/add\/with\/code\)$/m,
    );
    expect(stdout).toMatch(/^functions\.yaml:8:\d+ BLW_SCRIPT_SYNTAX the script does not compile: .+deep/m);
    expect(code).toBe(2);
  });
});
