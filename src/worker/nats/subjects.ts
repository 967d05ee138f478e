import { createHash } from 'node:crypto';
import { TENANT } from '../../dsl/start';

/** Streams of JetStream, and the subjects that they keep. */
export const EVENTS_STREAM = 'BEAMLINE_EVENTS';
export const EVENTS_PREFIX = 'beamline.events.';
export const DEAD_LETTERS_STREAM = 'BEAMLINE_DLQ';
export const DEAD_LETTERS_PREFIX = 'beamline.dlq.';

/** Longest part of a subject that a type makes: a server takes a line of 4,096 bytes with subject, reply and more. */
const MAX_TYPE_LENGTH = 1_000;
const HASH_LENGTH = 32;

/** Subject of a tenant's dead letters. */
export function deadLetterSubject(tenant: string): string {
  return DEAD_LETTERS_PREFIX + encodeToken(tenant);
}

/** Subject of a tenant's events of a type: the dots of the type stay, so that `beamline.events.acme.com.example.>` is of use. */
export function eventSubject(tenant: string, type: string): string {
  return `${EVENTS_PREFIX}${encodeToken(tenant)}.${encodeType(type)}`;
}

/** The tenant of a subject of events; undefined where it is none. */
export function tenantOfSubject(subject: string): string | undefined {
  if (!subject.startsWith(EVENTS_PREFIX)) return undefined;
  const [token = '', ...type] = subject.slice(EVENTS_PREFIX.length).split('.');
  if (type.length === 0) return undefined;
  const tenant = token.replace(/%2[eE]/g, '.');
  return TENANT.test(tenant) ? tenant : undefined;
}

/** NATS's header against duplicates. Of a fixed length, since everybody chooses how long the parts are. */
export function messageId(tenant: string, source: string, id: string): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, source, id]))
    .digest('hex');
}

/** One token: what separates tokens, is a wildcard, ends a subject or may be unprintable is percent-encoded. */
function encodeToken(text: string): string {
  const encode = (part: string) => Buffer.from(part, 'utf8').toString('hex').toUpperCase().replace(/../g, '%$&');
  return text.replace(/[^A-Za-z0-9_~:/+=@-]+/gu, encode);
}

function encodeType(type: string): string {
  const tokens = type.split('.').map(encodeToken);
  // NATS knows no empty tokens.
  const subject = tokens.includes('') ? tokens.join('%2E') : tokens.join('.');
  if (subject.length <= MAX_TYPE_LENGTH) return subject;
  const hash = createHash('sha256').update(type).digest('hex').slice(0, HASH_LENGTH);
  // Cut between tokens where that is possible, and never within a character.
  const cut = subject.slice(0, MAX_TYPE_LENGTH - HASH_LENGTH - 1).replace(/(%..?|%|\.)$/, '');
  return `${cut}.${hash}`;
}
