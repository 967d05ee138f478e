import { types } from 'pg';
import type { Json } from '../../dsl/json';
import { MAX_RESULT_BYTES } from './sql-limits';
import { bigintToJson } from './sql-values';

type Parser = (text: string) => Json;

const asText: Parser = (text) => text;

/** PostgreSQL's text of a double; JSON has no NaN and no Infinity, so they stay text. */
const asDouble: Parser = (text) => {
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
};

const asInteger: Parser = (text) => bigintToJson(BigInt(text));
const asBoolean: Parser = (text) => text === 't';
/** What is larger than a whole result may be is not parsed for nothing: it is refused as it is, or dropped. */
const asJson: Parser = (text): Json => (text.length > MAX_RESULT_BYTES ? text : JSON.parse(text));
const asBase64: Parser = (text) => Buffer.from(text.slice(2), 'hex').toString('base64');

/** `2024-01-31 10:00:00.5+00` is `2024-01-31T10:00:00.5Z`; what has no ISO form (infinity, BC) stays as it is. */
const asTimestamp: Parser = (text) =>
  text.replace(/^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(\+00)?$/, (_all, day, time, zone) =>
    zone === undefined ? `${day}T${time}` : `${day}T${time}Z`,
  );

/** By the oid of the type and of its array (pg_type.dat). What is not listed is handed out as PostgreSQL's text. */
const SCALARS: ReadonlyArray<readonly [oid: number, arrayOid: number, parser: Parser]> = [
  [16, 1000, asBoolean],
  [17, 1001, asBase64],
  [20, 1016, asInteger],
  [21, 1005, asDouble],
  [23, 1007, asDouble],
  [25, 1009, asText],
  [26, 1028, asDouble],
  [114, 199, asJson],
  [700, 1021, asDouble],
  [701, 1022, asDouble],
  [1042, 1014, asText],
  [1043, 1015, asText],
  [1082, 1182, asText],
  [1083, 1183, asText],
  [1114, 1115, asTimestamp],
  [1184, 1185, asTimestamp],
  [1186, 1187, asText],
  [1266, 1270, asText],
  [1700, 1231, asText],
  [2950, 2951, asText],
  [3802, 3807, asJson],
];

/** pg-types publishes its array parser with an outdated declaration. */
interface ArrayParser {
  create(text: string, parser: Parser): { parse(): Json[] };
}

const PARSERS: ReadonlyMap<number, Parser> = new Map(
  SCALARS.flatMap(([oid, arrayOid, parser]) => [
    [oid, parser],
    [arrayOid, (text: string): Json => (types.arrayParser as unknown as ArrayParser).create(text, parser).parse()],
  ]),
);

/**
 * Settings under which PostgreSQL writes what the parsers read, as statements of a transaction: ISO 8601 dates in UTC and
 * ISO 8601 intervals. The last makes a backslash in '…' an ordinary character, as our reading of SQL takes it.
 */
export const SESSION_FORMATS = [
  "SET LOCAL timezone = 'UTC'",
  "SET LOCAL datestyle = 'ISO, YMD'",
  "SET LOCAL intervalstyle = 'iso_8601'",
  "SET LOCAL bytea_output = 'hex'",
  'SET LOCAL extra_float_digits = 1',
  'SET LOCAL standard_conforming_strings = on',
];

/** Type parsers for node-postgres: every value becomes JSON. */
export const POSTGRES_TYPES = {
  getTypeParser: (oid: number): Parser => PARSERS.get(oid) ?? asText,
};

/** For rows that nobody keeps. */
export const UNPARSED_TYPES = { getTypeParser: (): Parser => asText };
