import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileCatalog } from '../../src/activities/ports/file-catalog';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';

const FLOW = flowText('shop/greet:1.0.0', 'do: [{ say: { set: { a: 1 } } }]');

let made: CatalogFolder[] = [];
const folderOf = (files: Record<string, string> = {}) => {
  const folder = makeCatalogFolder(files);
  made.push(folder);
  return folder;
};
afterEach(() => {
  for (const folder of made) folder.dispose();
  made = [];
});

const sourcesOf = async (folder: string) => (await new FileCatalog(folder).read()).flows().map(({ source }) => source);

it('finds YAML and JSON at any depth, and nothing else', async () => {
  const { folder } = folderOf({
    'a.yaml': FLOW,
    'deep/er/b.yml': FLOW.replace('1.0.0', '1.0.1'),
    'c.json': JSON.stringify({ document: { namespace: 'shop', name: 'c', version: '1.0.0' } }),
    'readme.md': '# no flow',
    '.hidden.yaml': FLOW,
    '.git/d.yaml': FLOW,
    'node_modules/e/f.yaml': FLOW,
    'functions/log/1.0.0/function.yaml': 'set: { a: 1 }',
    'functions/log/1.0.0/example.yaml': 'anything: goes',
  });
  const index = await new FileCatalog(folder).read();
  expect(index.flows().map(({ name, source }) => [name, source])).toEqual([
    ['shop/c:1.0.0', 'c.json'],
    ['shop/greet:1.0.0', 'a.yaml'],
    ['shop/greet:1.0.1', 'deep/er/b.yml'],
  ]);
  expect(index.functions().map(({ source }) => source)).toEqual(['functions/log/1.0.0/function.yaml']);
  expect(index.problems).toEqual([]);
});

it('reports files that are none by name, and finds the others', async () => {
  const { folder } = folderOf({
    'good.yaml': FLOW,
    'broken.yaml': 'a: [',
    'list.yaml': '- a',
    'values.yaml': 'replicas: 3',
    'half.yaml': 'document: { namespace: shop, name: half }',
    'functions/f/one/function.yaml': 'set: { a: 1 }',
    'functions/g/1.0.0/function.yaml': '- a',
  });
  writeFileSync(join(folder, 'latin1.yaml'), Buffer.from('document: { title: f\xfcr }', 'latin1'));
  const index = await new FileCatalog(folder).read();
  expect(index.flows()).toHaveLength(1);
  expect(index.problems.map(({ path, problem }) => [path, problem.code, problem.message])).toEqual([
    ['broken.yaml', 'BLW_DOC_SYNTAX', expect.any(String)],
    [
      'functions/f/one/function.yaml',
      'BLW_CATALOG_INVALID',
      expect.stringContaining('"one", expected a semantic version'),
    ],
    ['functions/g/1.0.0/function.yaml', 'BLW_CATALOG_INVALID', expect.stringContaining('expected the definition')],
    ['half.yaml', 'BLW_CATALOG_INVALID', expect.stringContaining('it is no flow')],
    ['latin1.yaml', 'BLW_CATALOG_INVALID', 'the file is not UTF-8 text'],
    ['list.yaml', 'BLW_CATALOG_INVALID', expect.stringContaining('it is no flow')],
    ['values.yaml', 'BLW_CATALOG_INVALID', expect.stringContaining('it is no flow')],
  ]);
});

it('follows links within the folder, as volumes of Kubernetes have them, and none that lead out', async () => {
  const { folder } = folderOf({ '..2026/a.yaml': FLOW });
  symlinkSync('..2026', join(folder, '..data'));
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
  const outside = folderOf({ 'secret.yaml': FLOW.replace('1.0.0', '6.6.6') });
  symlinkSync(join(outside.folder, 'secret.yaml'), join(folder, 'secret.yaml'));
  symlinkSync(outside.folder, join(folder, 'linked'));
  symlinkSync('nowhere.yaml', join(folder, 'dangling.yaml'));
  expect(await sourcesOf(folder)).toEqual(['a.yaml']);
});

it('leaves out links that go round in a circle or through a file, and finds the others', async () => {
  const { folder } = folderOf({ 'a.yaml': FLOW, 'one/b.yaml': FLOW.replace('1.0.0', '1.0.1'), 'two/readme.md': '' });
  symlinkSync('loop.yaml', join(folder, 'loop.yaml'));
  symlinkSync('a.yaml/b', join(folder, 'through.yaml'));
  symlinkSync('.', join(folder, 'self'));
  symlinkSync('../one', join(folder, 'one', 'again'));
  symlinkSync('../one', join(folder, 'two', 'first'));
  symlinkSync('../two', join(folder, 'one', 'second'));
  expect(await sourcesOf(folder)).toEqual(expect.arrayContaining(['a.yaml', 'one/b.yaml']));
});

it('can be a link itself, and is then known by both names in file: URLs', async () => {
  const { folder } = folderOf({ 'team/functions/f/1.0.0/function.yaml': 'set: { a: 1 }' });
  const parent = mkdtempSync(join(tmpdir(), 'beamline-link-'));
  try {
    symlinkSync(folder, join(parent, 'catalog'));
    const index = await new FileCatalog(join(parent, 'catalog')).read();
    for (const endpoint of [`file://${folder}/team`, `file://${parent}/catalog/team/`, 'team', './team/']) {
      expect(index.findFunction({ name: 'f', version: '1.0.0', endpoint })).toMatchObject({
        definition: { set: { a: 1 } },
      });
    }
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
});

it('reads a file again when it has changed, and gives the same index when nothing has', async () => {
  const { folder, write, remove } = folderOf({ 'a.yaml': FLOW });
  const catalog = new FileCatalog(folder);
  const first = await catalog.read();
  expect(await catalog.read()).toBe(first);
  write('a.yaml', FLOW.replace('1.0.0', '2.0.0'));
  // The same size, and a time of its own: clocks of file systems are coarse.
  utimesSync(join(folder, 'a.yaml'), 1, 1);
  expect((await catalog.read()).flows().map(({ name }) => name)).toEqual(['shop/greet:2.0.0']);
  remove('a.yaml');
  expect((await catalog.read()).flows()).toEqual([]);
});

it('refuses a folder that is not there, and one that is far too deep', async () => {
  const { folder } = folderOf();
  await expect(new FileCatalog(join(folder, 'nowhere')).read()).rejects.toMatchObject({
    data: { code: 'BLW_CATALOG_INVALID', detail: expect.stringContaining('ENOENT') },
  });
  mkdirSync(join(folder, ...Array.from({ length: 40 }, () => 'd')), { recursive: true });
  await expect(new FileCatalog(folder).read()).rejects.toThrow('nested deeper than 32 levels');
});
