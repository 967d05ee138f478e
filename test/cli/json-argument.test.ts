import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Cli } from '../../src/cli/cli';
import { CommandError } from '../../src/cli/command-error';
import { readJsonArgument } from '../../src/cli/json-argument';
import { createOutput } from '../../src/cli/output';
import { CollectedText } from '../helpers/collected-text';

describe('readJsonArgument', () => {
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-json-'));
    writeFileSync(join(cwd, 'order.json'), '\uFEFF{"orderId": "4711"}');
    writeFileSync(join(cwd, 'bad.json'), '{"orderId": }');
    writeFileSync(join(cwd, 'latin1.json'), Buffer.from('"\xfc"', 'latin1'));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  const read = (value: string, stdin = '') => {
    const output = createOutput(new CollectedText(), { env: {}, onBroken: () => undefined });
    const cli: Cli = {
      out: output,
      err: output,
      stdin: Readable.from([Buffer.from(stdin)]),
      env: {},
      cwd,
      onReaderGone: () => undefined,
    };
    return readJsonArgument('--input', value, cli);
  };

  it.each([
    ['{"n": 1}', '', { n: 1 }],
    ['null', '', null],
    ['@order.json', '', { orderId: '4711' }],
    ['-', '[1, 2]', [1, 2]],
  ])('reads %s', async (value, stdin, json) => {
    expect(await read(value, stdin)).toEqual(json);
  });

  it.each([
    ['{n: 1}', '', '--input: not JSON: '],
    ['', '', '--input: not JSON: '],
    ['@bad.json', '', '--input: bad.json: not JSON: '],
    ['@latin1.json', '', '--input: latin1.json: is not UTF-8'],
    ['@missing.json', '', 'missing.json: there is no such file'],
    ['@', '', 'expected @FILE'],
    ['-', 'nothing', '--input: <stdin>: not JSON: '],
  ])('refuses %s', async (value, stdin, detail) => {
    const error: unknown = await read(value, stdin).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({
      exitCode: 2,
      message: expect.stringContaining(detail),
      error: { data: { code: 'BLW_USAGE' } },
    });
  });
});
