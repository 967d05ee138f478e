import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { flowError } from '../../dsl/errors';

/** Hosts that may be called whatever their addresses are: `host` or `host:port`, as {@link normalizeHost} writes them. */
export type AllowedHosts = ReadonlySet<string>;

/**
 * Parses the values of `--allow-host`: HOST or HOST:PORT, where HOST is a name or an address; an IPv6 address with a port is in brackets.
 * Throws BLW_CONFIG.
 */
export function parseAllowedHosts(values: readonly string[]): AllowedHosts {
  return new Set(values.map(parseAllowedHost));
}

/** True where the worker's operator allowed the host, on all ports or on this one. */
export function isAllowedHost(allowed: AllowedHosts, host: string, port: number): boolean {
  const name = normalizeHost(host);
  return allowed.has(name) || allowed.has(`${name}:${port}`);
}

/** One spelling for a host: lower case, no dot at the end, an IPv6 address in brackets. */
export function normalizeHost(host: string): string {
  return isIPv6(host) ? `[${host.toLowerCase()}]` : host.toLowerCase().replace(/\.$/, '');
}

/** `localhost` and the names below it are loopback by definition (RFC 6761 section 6.3); no resolver is asked. */
export function isLoopbackName(host: string): boolean {
  const name = normalizeHost(host);
  return name === 'localhost' || name.endsWith('.localhost');
}

/**
 * Public in form, but answered by the platform that a machine runs on: Azure's WireServer, which hands out settings and
 * certificates (Microsoft: "What is IP address 168.63.129.16?").
 */
const PLATFORM_ADDRESSES: ReadonlySet<string> = new Set(['168.63.129.16']);

/** Where clouds hand out a machine's credentials, beside the link-local addresses. */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  ...PLATFORM_ADDRESSES,
  '100.100.100.200', // Alibaba
  '192.0.0.192', // Oracle
  'fd00:ec2::254', // AWS
  'fd20:ce::254', // Google
  'fd00:42::42', // Scaleway
]);

/**
 * True for an address of the public internet. Addresses that carry an IPv4 address inside count as that one.
 * Anything that is not an address is not public.
 */
export function isPublicAddress(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  return parsed instanceof ipaddr.IPv6 ? isPublicIpv6(parsed) : isPublicIpv4(parsed);
}

/**
 * True for an address that may be reached through a name that the operator allows: any but those of metadata services, and
 * those that are nobody's own (unspecified, multicast, broadcast). Who owns the name's zone may be a stranger; a metadata
 * service has to be allowed by its address.
 */
export function isReachableByName(address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return false;
  const carried = parsed instanceof ipaddr.IPv6 ? embeddedIpv4(parsed) : [];
  return [parsed, ...carried].every(
    (each) => !NOT_BY_NAME.has(each.range()) && !METADATA_ADDRESSES.has(each.toString()),
  );
}

const NOT_BY_NAME: ReadonlySet<string> = new Set(['linkLocal', 'unspecified', 'multicast', 'broadcast']);

/** Undefined for what is no address, also for `::a.b.c.d` (RFC 4291 section 2.5.5.1), which the library takes for a mapped one. */
function parseAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return ipaddr.isValid(address) && !/^::\d+\./.test(address) ? ipaddr.parse(address) : undefined;
}

function isPublicIpv4(address: ipaddr.IPv4): boolean {
  return address.range() === 'unicast' && !PLATFORM_ADDRESSES.has(address.toString());
}

function isPublicIpv6(address: ipaddr.IPv6): boolean {
  const inner = embeddedIpv4(address);
  if (inner.length > 0) return inner.every(isPublicIpv4);
  // Only 2000::/3 is handed out as global unicast (IANA); ipaddr.js calls the rest of the space `unicast` as well,
  // `::127.0.0.1` among it. The local-use NAT64 prefix 64:ff9b:1::/48 falls here: where in it an IPv4 address sits is
  // the network's own choice (RFC 8215), so none can be proved public.
  return isGlobalUnicast(address) && address.range() === 'unicast' && isatapHost(address).every(isPublicIpv4);
}

/** The IPv4 address in an interface identifier of ISATAP, to which a tunnel below any prefix leads (RFC 5214 section 6.1). */
function isatapHost(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const { parts } = address;
  const isIsatap = ((parts[4] ?? 0) & 0xfdff) === 0 && parts[5] === 0x5efe;
  return isIsatap ? [new ipaddr.IPv4(address.toByteArray().slice(12))] : [];
}

function isGlobalUnicast(address: ipaddr.IPv6): boolean {
  return ((address.parts[0] ?? 0) & 0xe000) === 0x2000;
}

/** The IPv4 addresses that a translated or tunnelled packet would reach. */
function embeddedIpv4(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray();
  const at = (start: number) => new ipaddr.IPv4(bytes.slice(start, start + 4));
  if (isWithin(address, '::ffff:0:0/96')) return [at(12)]; // RFC 4291 section 2.5.5.2
  if (isWithin(address, '64:ff9b::/96')) return [at(12)]; // NAT64, RFC 6052
  if (isWithin(address, '2002::/16')) return [at(2)]; // 6to4, RFC 3056
  if (isWithin(address, '2001::/32')) return [at(4), teredoClient(bytes)]; // Teredo: server and client, RFC 4380 section 4
  return [];
}

function teredoClient(bytes: number[]): ipaddr.IPv4 {
  return new ipaddr.IPv4(bytes.slice(12, 16).map((byte) => byte ^ 0xff));
}

function isWithin(address: ipaddr.IPv6, cidr: string): boolean {
  return address.match(ipaddr.IPv6.parseCIDR(cidr));
}

function parseAllowedHost(value: string): string {
  const [host, port] = isIPv6(value) ? [`[${value}]`, undefined] : splitPort(value);
  if (port !== undefined && (port < 1 || port > 65_535)) throw badAllowedHost(value);
  const name = canonicalHost(host);
  if (name === undefined) throw badAllowedHost(value);
  return port === undefined ? name : `${name}:${port}`;
}

function splitPort(value: string): [string, number | undefined] {
  const match = /^(\[[0-9a-f:.]+\]|[^\s:/?#@\\[\]*%]+)(?::(\d{1,5}))?$/i.exec(value);
  if (match?.[1] === undefined) throw badAllowedHost(value);
  return [match[1], match[2] === undefined ? undefined : Number(match[2])];
}

/** The spelling that a URL would give the host, so that both compare. */
function canonicalHost(host: string): string | undefined {
  const text = `http://${host}/`;
  return URL.canParse(text) ? normalizeHost(new URL(text).hostname) : undefined;
}

function badAllowedHost(value: string): Error {
  // What stands before an @ may be a password.
  const shown = value.includes('@') ? 'a value with an @' : JSON.stringify(value.slice(0, 200));
  return flowError(
    'BLW_CONFIG',
    `--allow-host: got ${shown}, expected HOST or HOST:PORT, such as api.internal, 10.0.0.5:8080 or [::1]:8080; ` +
      'leave out scheme, path, credentials and wildcards',
  );
}
