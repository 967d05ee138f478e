import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runCli } from '../helpers/cli';

const SET = 'do:\n  - say: { set: { a: 1 } }';
const runs = (name: string) =>
  `do:\n  - sub: { run: { workflow: { namespace: shop, name: ${name}, version: 1.0.0 } } }`;

let catalog: CatalogFolder;
beforeAll(() => {
  catalog = makeCatalogFolder({
    'flows/greet.yaml': flowText('shop/greet:1.0.0', SET),
    'flows/parent.yaml': flowText('shop/parent:1.0.0', runs('greet')),
    'flows/functions/log/1.0.0/function.yaml': 'set: { line: "${ data.message }" }',
    'flows/team/functions/log/2.0.0/function.yaml': 'set: { line: "${ .message | ascii_upcase }" }',
    'bad/functions/jq/1.0.0/function.yaml': 'set: { line: "${ .message | }" }',
    'bad/orphan.yaml': flowText('shop/orphan:1.0.0', runs('nobody')),
    'bad/a.yaml': flowText('shop/twice:1.0.0', SET),
    'bad/b.yaml': flowText('shop/twice:1.0.0', SET),
    'bad/wrong.yaml': flowText('shop/wrong:1.0.0', 'do:\n  - say: { sett: 1 }'),
    'bad/values.yaml': 'replicas: 3',
    'bad/functions/put/1.0.0/function.yaml': 'call: fs.puut\nwith: {}',
    'alone.yaml': flowText(
      'shop/alone:1.0.0',
      `${runs('greet')}\n  - log: { call: 'log:1.0.0@default', with: { message: hi } }`,
    ),
  });
});
afterAll(() => catalog.dispose());

const beamline = (...args: string[]) => runCli(args, { cwd: catalog.folder });

describe('beamline validate --catalog', () => {
  it('checks all flows and functions of a catalog, and what flows refer to', async () => {
    const { code, stdout, stderr } = await beamline('validate', '--catalog', 'flows');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'ok: flows/greet.yaml shop/greet:1.0.0, 1 step',
      'ok: flows/parent.yaml shop/parent:1.0.0, 1 step',
      'ok: flows/functions/log/1.0.0/function.yaml function log:1.0.0',
      'ok: flows/team/functions/log/2.0.0/function.yaml function log:2.0.0',
      '',
    ]);
  });

  it('lists every problem by its file', async () => {
    const { code, stdout } = await beamline('validate', '--catalog', 'bad');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^bad\/b\.yaml BLW_CATALOG_INVALID "shop\/twice:1\.0\.0" is in a\.yaml and in b\.yaml/m);
    expect(stdout).toMatch(/^bad\/orphan\.yaml:\d+:\d+ BLW_FLOW_UNKNOWN run: the catalog has no flow "shop\/nobody"/m);
    expect(stdout).toMatch(/^bad\/values\.yaml BLW_CATALOG_INVALID it is no flow/m);
    expect(stdout).toMatch(/^bad\/wrong\.yaml:\d+:\d+ BLW_TASK_UNKNOWN/m);
    expect(stdout).toMatch(/^bad\/functions\/put\/1\.0\.0\/function\.yaml BLW_BLOCK_UNKNOWN .*did you mean "fs\.put"/m);
    expect(stdout).toMatch(/^ok: bad\/a\.yaml shop\/twice:1\.0\.0, 1 step$/m);
    expect(stdout).toMatch(/^6 problems in 6 files$/m);
  });

  it('says what it could not look up without a catalog, and looks it up with one', async () => {
    expect(await beamline('validate', 'alone.yaml')).toEqual({
      code: 0,
      stdout: 'ok: alone.yaml shop/alone:1.0.0, 2 steps\n',
      stderr:
        'note: alone.yaml: flow shop/greet:1.0.0 was not looked up; check it with --catalog DIR\n' +
        'note: alone.yaml: function log:1.0.0@default was not looked up; check it with --catalog DIR\n',
    });
    const found = await beamline('validate', 'alone.yaml', '--catalog', 'flows');
    expect(found).toMatchObject({ code: 0, stderr: '' });
    expect(found.stdout).toMatch(/^ok: alone\.yaml shop\/alone:1\.0\.0, 3 steps$/m);
    const missing = await beamline('validate', 'alone.yaml', '--catalog', 'bad');
    expect(missing.stdout).toMatch(/^alone\.yaml:\d+:\d+ BLW_FUNCTION_UNKNOWN/m);
  });

  it('tells programs what was not looked up', async () => {
    const { stdout } = await beamline('validate', 'alone.yaml', '--json');
    expect(JSON.parse(stdout).files).toEqual([
      {
        file: 'alone.yaml',
        valid: true,
        flow: 'shop/alone:1.0.0',
        problems: [],
        unresolved: ['flow shop/greet:1.0.0', 'function log:1.0.0@default'],
      },
    ]);
  });

  it('refuses a folder that is not there', async () => {
    expect(await beamline('validate', '--catalog', 'nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/cannot be read \(ENOENT\) \[BLW_CATALOG_INVALID\]/),
    });
  });
});

it('draws calls of functions and flows without a catalog', async () => {
  const { code, stdout } = await beamline('graph', 'alone.yaml');
  expect(code).toBe(0);
  expect(stdout).toContain('run shop#47;greet#58;1#46;0#46;0');
  expect(stdout).toContain('log#58;1#46;0#46;0#64;default');
});

it('takes an argument for a file where there is one of that name', async () => {
  catalog.write('shop/greet', 'no flow');
  const { code, stderr } = await beamline('run', 'shop/greet', '--json');
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('shop/greet:1:1') });
});

it('refuses a worker whose catalog is not there', async () => {
  expect(await beamline('worker', '--catalog', 'nowhere', '--address', '127.0.0.1:1')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--catalog: the catalog .*nowhere cannot be read \(ENOENT\) \[BLW_CONFIG\]/),
  });
});
