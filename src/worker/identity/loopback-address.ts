import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { isLoopbackName } from '../../activities/ports/address-policy';

/** True for a `host:port` of this machine alone: names that others could resolve differently do not count. */
export function isLoopbackAddress(address: string): boolean {
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) === 0) return isLoopbackName(host);
  // An IPv4 address in an IPv6 one is that address (RFC 4291, section 2.5.5.2).
  return ipaddr.process(host).range() === 'loopback';
}
