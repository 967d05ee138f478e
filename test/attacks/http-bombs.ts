import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { httpStream } from '../../src/activities/blocks/http-stream';
import { type AttackCase, described, refusedWith } from './attack';
import type { HttpWorld } from './http-world';

type HttpCase = AttackCase<HttpWorld>;

const MIB = 1_048_576;
/** No step may need more than its answer, of which it keeps at most 100 MiB, twice over. */
const MAX_GROWTH_BYTES = 320 * MIB;

const br = (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } });
const CODINGS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gzipSync(bytes),
  'x-gzip': (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
  br,
};

/** Applies the codings in the order in which the header names them. */
function encode(bytes: Buffer, codings: string): Buffer {
  return codings
    .split(',')
    .reduce((content, coding) => CODINGS[coding.trim().toLowerCase()]?.(content) ?? content, bytes);
}

interface Bomb {
  readonly what: string;
  readonly coding: string;
  readonly content: () => Buffer;
  readonly contentType?: string;
  readonly codes: readonly string[];
}

const zeros = (mib: number) => () => Buffer.alloc(mib * MIB);
const TOO_LARGE = ['BLW_HTTP_TOO_LARGE'];
const CONTENT = ['BLW_HTTP_CONTENT'];
const LOST = ['BLW_HTTP_OUTCOME_UNKNOWN', 'BLW_HTTP_CONTENT'];

/** Small answers that become large ones; the limit is 1 MiB for a stream, 100 MiB for a request. */
const STREAMED: readonly Bomb[] = [
  ...[
    'gzip',
    'x-gzip',
    'deflate',
    'br',
    'GZIP',
    'gzip, gzip',
    'gzip, br',
    'br, gzip',
    'deflate, gzip',
    'gzip, gzip, gzip',
    'br, br, br',
  ].map(
    (coding): Bomb => ({
      what: `64 MiB of zeros in ${coding}`,
      coding,
      content: () => encode(zeros(64)(), coding),
      codes: TOO_LARGE,
    }),
  ),
  {
    what: '64 MiB of zeros in deflate without its header',
    coding: 'deflate',
    content: () => deflateRawSync(zeros(64)()),
    codes: TOO_LARGE,
  },
  {
    what: 'many members of gzip',
    coding: 'gzip',
    content: () => Buffer.concat(Array.from({ length: 64 }, () => gzipSync(zeros(1)()))),
    codes: TOO_LARGE,
  },
  { what: 'four codings', coding: 'gzip, gzip, gzip, gzip', content: zeros(0), codes: CONTENT },
  {
    what: 'a hundred codings',
    coding: Array.from({ length: 100 }, () => 'gzip').join(', '),
    content: zeros(0),
    codes: CONTENT,
  },
  { what: 'zstd', coding: 'zstd', content: () => Buffer.from('28b52ffd', 'hex'), codes: CONTENT },
  { what: 'compress', coding: 'compress', content: () => Buffer.from('1f9d90', 'hex'), codes: CONTENT },
  { what: 'a coding that is none', coding: 'identity, bogus', content: () => Buffer.from('a'), codes: CONTENT },
  { what: 'gzip that is none', coding: 'gzip', content: () => Buffer.from('no gzip'), codes: CONTENT },
  {
    what: 'gzip with a file name without an end',
    coding: 'gzip',
    content: () => Buffer.concat([Buffer.from('1f8b0808000000000003', 'hex'), Buffer.alloc(4 * MIB, 97)]),
    codes: LOST,
  },
  {
    what: 'gzip that breaks off',
    coding: 'gzip',
    content: () => gzipSync(Buffer.alloc(MIB / 2, 'abc')).subarray(0, 200),
    codes: LOST,
  },
];

const json = (text: () => string) => () => gzipSync(Buffer.from(text()));
const names = (count: number, one: (name: string) => string) =>
  Array.from({ length: count }, (_, index) => one(index.toString(36))).join(',');

const JSON_BOMBS: readonly Bomb[] = [
  ...[
    ['3 million empty objects', () => `[${'{},'.repeat(3_000_000)}{}]`],
    ['3 million empty arrays', () => `[${'[],'.repeat(3_000_000)}[]]`],
    ['3 million pairs', () => `[${'[1,2],'.repeat(3_000_000)}0]`],
    ['13 million numbers', () => `[${'1,'.repeat(13_000_000)}1]`],
    ['13 million empty texts', () => `[${'"",'.repeat(13_000_000)}1]`],
    ['600,000 names in one object', () => `{${names(600_000, (name) => `"${name}":0`)}}`],
    ['600,000 objects with a name each', () => `[${names(600_000, (name) => `{"${name}":0}`)}]`],
    ['a million levels of arrays', () => `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`],
    ['a million levels of objects', () => `${'{"a":'.repeat(1_000_000)}1${'}'.repeat(1_000_000)}`],
    ['501 levels', () => `${'['.repeat(501)}${']'.repeat(501)}`],
  ].map(([what, text]) => ({
    what: `JSON of ${String(what)}`,
    coding: 'gzip',
    content: json(text as () => string),
    contentType: 'application/json',
    codes: CONTENT,
  })),
  { what: '101 MiB of zeros in gzip', coding: 'gzip', content: () => gzipSync(zeros(101)()), codes: TOO_LARGE },
  {
    what: '101 MiB of zeros in gzip, gzip, br',
    coding: 'gzip, gzip, br',
    content: () => encode(zeros(101)(), 'gzip,gzip,br'),
    codes: TOO_LARGE,
  },
];

const FINE: readonly Bomb[] = [
  { what: 'a text in gzip', coding: 'gzip', content: () => gzipSync('a'.repeat(1_000)), codes: [] },
  {
    what: 'a text in br and gzip',
    coding: 'br, gzip',
    content: () => encode(Buffer.alloc(1_000, 97), 'br,gzip'),
    codes: [],
  },
  {
    what: 'JSON of 200,000 rows',
    coding: 'gzip',
    content: json(() => `[${'{"id":1,"name":"abc","tags":["a","b"]},'.repeat(200_000)}0]`),
    contentType: 'application/json',
    codes: [],
  },
  {
    what: 'JSON of 100 levels',
    coding: 'gzip',
    content: json(() => `${'['.repeat(100)}${']'.repeat(100)}`),
    contentType: 'application/json',
    codes: [],
  },
  {
    what: 'JSON with one text of 20 MiB',
    coding: 'gzip',
    content: json(() => `["${'[{\\"'.repeat(5 * MIB)}"]`),
    contentType: 'application/json',
    codes: [],
  },
];

async function fetchBomb(world: HttpWorld, bomb: Bomb, isStream: boolean): Promise<string | undefined> {
  const content = bomb.content();
  const before = process.memoryUsage().rss;
  try {
    const { contentType = 'text/plain' } = bomb;
    const headers = { 'content-encoding': bomb.coding, 'content-type': contentType, 'content-length': content.length };
    const server = await world.servers.http((_request, response) => response.writeHead(200, headers).end(content));
    const endpoint = { uri: server.origin };
    const client = world.client(['127.0.0.1']);
    const outcome = isStream
      ? await world.run(httpStream, { endpoint, to: 'a', maxBytes: MIB }, client, 20_000)
      : await world.run(httpRequest, { method: 'get', endpoint }, client, 20_000);
    if (bomb.codes.length === 0) return 'value' in outcome ? undefined : described(outcome);
    const growth = process.memoryUsage().rss - before;
    if (growth > MAX_GROWTH_BYTES) return `the memory grew by ${Math.round(growth / MIB)} MiB`;
    return refusedWith(outcome, bomb.codes);
  } finally {
    await world.tidy();
  }
}

/** Answers that are small on the wire and large inside. */
export const bombCases: readonly HttpCase[] = [
  ...STREAMED.map(
    (bomb): HttpCase => ({
      kind: 'bombs',
      name: `http.stream: ${bomb.what}`,
      attempt: (world) => fetchBomb(world, bomb, true),
    }),
  ),
  ...JSON_BOMBS.map(
    (bomb): HttpCase => ({
      kind: 'bombs',
      name: `http: ${bomb.what}`,
      attempt: (world) => fetchBomb(world, bomb, false),
    }),
  ),
  ...FINE.map(
    (bomb): HttpCase => ({
      kind: 'bombs',
      name: `fine: ${bomb.what}`,
      isControl: true,
      attempt: (world) => fetchBomb(world, bomb, false),
    }),
  ),
];
