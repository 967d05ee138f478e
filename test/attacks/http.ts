/**
 * What flows and servers may try against the worker's network, as data; http-suite.ts tries it. `PORT` stands for the port of a
 * server that nobody may reach.
 */

/** Addresses that are not of the public internet, as resolvers write them. */
export const DENIED_ADDRESSES: readonly (readonly [what: string, address: string])[] = [
  ['this host', '0.0.0.0'],
  ['this network', '0.1.2.3'],
  ['loopback', '127.0.0.1'],
  ['loopback, another', '127.1.2.3'],
  ['loopback, the last', '127.255.255.254'],
  ['private 10/8', '10.0.0.1'],
  ['private 10/8, the last', '10.255.255.255'],
  ['private 172.16/12', '172.16.0.1'],
  ['private 172.16/12, the last', '172.31.255.255'],
  ['private 192.168/16', '192.168.1.1'],
  ['link-local', '169.254.1.1'],
  ['metadata of AWS, Azure, Google and others', '169.254.169.254'],
  ['credentials of containers at AWS', '169.254.170.2'],
  ['metadata of Tencent', '169.254.0.23'],
  ['metadata of Alibaba, carrier NAT', '100.100.100.200'],
  ['carrier NAT', '100.64.0.1'],
  ['carrier NAT, the last', '100.127.255.255'],
  ['metadata of Oracle', '192.0.0.192'],
  ['platform of Azure, a public address', '168.63.129.16'],
  ['IETF protocol assignments', '192.0.0.8'],
  ['documentation 1', '192.0.2.1'],
  ['documentation 2', '198.51.100.1'],
  ['documentation 3', '203.0.113.1'],
  ['benchmarking', '198.18.0.1'],
  ['benchmarking, the last', '198.19.255.255'],
  ['6to4 relay', '192.88.99.1'],
  ['AS112', '192.31.196.1'],
  ['AMT', '192.52.193.1'],
  ['multicast', '224.0.0.1'],
  ['multicast, local services', '239.255.255.250'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['IPv6 unspecified', '::'],
  ['IPv6 loopback', '::1'],
  ['IPv6 link-local', 'fe80::1'],
  ['metadata of OpenStack', 'fe80::a9fe:a9fe'],
  ['unique local', 'fc00::1'],
  ['metadata of AWS, IPv6', 'fd00:ec2::254'],
  ['metadata of Google, IPv6', 'fd20:ce::254'],
  ['site-local', 'fec0::1'],
  ['IPv6 multicast', 'ff02::1'],
  ['IPv6 documentation', '2001:db8::1'],
  ['IPv6 documentation, the new one', '3fff::1'],
  ['IPv6 benchmarking', '2001:2::1'],
  ['ORCHID', '2001:10::1'],
  ['ORCHIDv2', '2001:20::1'],
  ['IPv6 discard', '100::1'],
  ['segment routing', '5f00::1'],
  ['outside of global unicast', '4000::1'],
  ['mapped loopback', '::ffff:127.0.0.1'],
  ['mapped loopback in hex', '::ffff:7f00:1'],
  ['mapped private', '::ffff:10.0.0.1'],
  ['mapped metadata', '::ffff:a9fe:a9fe'],
  ['mapped platform of Azure', '::ffff:168.63.129.16'],
  ['compatible loopback', '::127.0.0.1'],
  ['compatible loopback in hex', '::7f00:1'],
  ['compatible public address', '::8.8.8.8'],
  ['translated loopback', '::ffff:0:127.0.0.1'],
  ['translated public address', '::ffff:0:8.8.8.8'],
  ['NAT64 loopback', '64:ff9b::127.0.0.1'],
  ['NAT64 private', '64:ff9b::a00:1'],
  ['NAT64 metadata', '64:ff9b::169.254.169.254'],
  ['NAT64 platform of Azure', '64:ff9b::a83f:8110'],
  ['local NAT64 private', '64:ff9b:1::10.0.0.1'],
  ['local NAT64, address in the middle', '64:ff9b:1:7f00:0:100:808:808'],
  ['local NAT64, public address', '64:ff9b:1::808:808'],
  ['6to4 loopback', '2002:7f00:1::1'],
  ['6to4 private', '2002:a00:1::1'],
  ['6to4 metadata', '2002:a9fe:a9fe::1'],
  ['Teredo, private client', '2001:0:808:808:0:0:f5ff:fffe'],
  ['Teredo, loopback client', '2001:0:808:808:0:0:80ff:fffe'],
  ['Teredo, private server', '2001:0:a00:1:0:0:f7f7:f7f7'],
  ['ISATAP loopback below a public prefix', '2606:4700::5efe:7f00:1'],
  ['ISATAP private below a public prefix', '2606:4700::200:5efe:10.0.0.1'],
  ['ISATAP metadata below a public prefix', '2606:4700::5efe:169.254.169.254'],
];

/** Public ones: the policy lets them pass. Nothing is connected to them. */
export const PUBLIC_ADDRESSES: readonly string[] = [
  '8.8.8.8',
  '93.184.216.34',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '169.253.255.255',
  '192.167.255.255',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2a00:1450:4001::1',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2002:808:808::1',
  '2001:0:808:808:0:0:f7f7:f7f7',
  '2606:4700::5efe:808:808',
];

/** Ways to write an address that is loopback or private, or to hide it. Names resolve to loopback. */
export const SPELLINGS: readonly string[] = [
  ...['http://127.0.0.1:PORT/', 'HTTP://127.0.0.1:PORT/', 'http://127.0.0.1.:PORT/', 'http:127.0.0.1:PORT/'],
  ...['http:/127.0.0.1:PORT/', 'http:///127.0.0.1:PORT/', 'http:\\\\127.0.0.1:PORT\\', 'http:/\\127.0.0.1:PORT/'],
  ...['http://2130706433:PORT/', 'http://017700000001:PORT/', 'http://0x7f000001:PORT/', 'http://0x7F.0.0.1:PORT/'],
  ...['http://0177.0.0.1:PORT/', 'http://0177.0.0.01:PORT/', 'http://127.1:PORT/', 'http://127.0.1:PORT/'],
  ...['http://0x7f.1:PORT/', 'http://0177.1:PORT/', 'http://127.0x1:PORT/'],
  ...[
    'http://127.0.0.0x1:PORT/',
    'http://00000000177.0.0.1:PORT/',
    'http://0:PORT/',
    'http://0x0:PORT/',
    'http://00.0:PORT/',
  ],
  ...['http://4294967295:PORT/', 'http://0xa9fea9fe:PORT/', 'http://2852039166:PORT/', 'http://169.254.43518:PORT/'],
  ...['http://4294967296:PORT/', 'http://0x17f000001:PORT/', 'http://256.0.0.1:PORT/', 'http://127.0.0.1.1:PORT/'],
  ...[
    'http://%31%32%37%2e0.0.1:PORT/',
    'http://127%2E0.0.1:PORT/',
    'http://%6cocalhost:PORT/',
    'http://127.0.0.1%00:PORT/',
  ],
  ...['http://127.0.0.1%2eexample:PORT/', 'http://127.0.0.1%252f:PORT/', 'http://127.0.0.1%20:PORT/'],
  ...['http://１２７.0.0.1:PORT/', 'http://127。0。0。1:PORT/', 'http://127．0．0．1:PORT/', 'http://127｡0｡0｡1:PORT/'],
  ...['http://①②⑦.⓪.⓪.①:PORT/', 'http://𝟙𝟚𝟟.𝟘.𝟘.𝟙:PORT/', 'http://⑯⑨.254.⑯⑨.254:PORT/', 'http://١٢٧.0.0.1:PORT/'],
  ...[
    'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/',
    'http://ｌｏｃａｌｈｏｓｔ:PORT/',
    'http://loc\u00adalhost:PORT/',
    'http://localho\u017ft:PORT/',
  ],
  ...['http://local\u200bhost:PORT/', 'http://127.0.0.1\u3002:PORT/', 'http://xn--localhost-:PORT/'],
  ...['http://localhost:PORT/', 'http://LOCALHOST:PORT/', 'http://localhost.:PORT/', 'http://localhost..:PORT/'],
  ...[
    'http://a.localhost:PORT/',
    'http://a.b.localhost.:PORT/',
    'http://localhost.localdomain:PORT/',
    'http://ip6-localhost:PORT/',
  ],
  ...['http://127.0.0.1.nip.example:PORT/', 'http://metadata.google.internal:PORT/', 'http://metadata:PORT/'],
  ...['http://kubernetes.default.svc:PORT/', 'http://host.docker.internal:PORT/', 'http://router:PORT/'],
  ...['http://[::1]:PORT/', 'http://[::0001]:PORT/', 'http://[0:0:0:0:0:0:0:1]:PORT/', 'http://[0000:0000::1]:PORT/'],
  ...[
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[::FFFF:7F00:1]:PORT/',
    'http://[::127.0.0.1]:PORT/',
    'http://[::]:PORT/',
  ],
  ...[
    'http://[64:ff9b::7f00:1]:PORT/',
    'http://[2002:7f00:1::]:PORT/',
    'http://[fe80::1]:PORT/',
    'http://[fe80::1%25lo]:PORT/',
  ],
  ...[
    'http://[fe80::1%lo]:PORT/',
    'http://[::1%25lo]:PORT/',
    'http://[::1%lo]:PORT/',
    'http://[::1]%25lo:PORT/',
    'http://[::1].:PORT/',
  ],
  ...[
    'http://::1:PORT/',
    'http://[127.0.0.1]:PORT/',
    'http://[::1:PORT/',
    'http://[v1.::1]:PORT/',
    'http://[::ffff:0177.0.0.1]:PORT/',
  ],
  ...['http://user@127.0.0.1:PORT/', 'http://user:secret@127.0.0.1:PORT/', 'http://example.com@127.0.0.1:PORT/'],
  ...['http://example.com:80@127.0.0.1:PORT/', 'http://example.com%40127.0.0.1:PORT/', 'http://@127.0.0.1:PORT/'],
  ...[
    'http://example.com\\@127.0.0.1:PORT/',
    'http://127.0.0.1:PORT\\@example.com/',
    'http://127.0.0.1:PORT#@example.com/',
  ],
  ...[
    'http://127.0.0.1:PORT?@example.com/',
    'http://example.com#@127.0.0.1:PORT/',
    'http://127.0.0.1:PORT;@example.com/',
  ],
  ...[
    'http://exa\tmple.com@127.0.0.1:PORT/',
    'http://127.0\t.0.1:PORT/',
    'ht\ntp://127.0.0.1:PORT/',
    'http://127.0.0.1:\rPORT/',
  ],
  ...[
    ' http://127.0.0.1:PORT/',
    'http://127.0.0.1:PORT/\u0000',
    'http://127.0.0.1 :PORT/',
    'http:// 127.0.0.1:PORT/',
    '\u0001http://127.0.0.1:PORT/',
  ],
  ...[
    'http://127.0.0.1:0/',
    'http://127.0.0.1:65536/',
    'http://127.0.0.1:+PORT/',
    'http://127.0.0.1:-1/',
    'http://127.0.0.1:00PORT/',
  ],
  ...[
    'http://127.0.0.1:PORT:80/',
    'http://127.0.0.1:PORT.0/',
    'http://127.0.0.1:0xPORT/',
    'http://127.0.0.1:/',
    'https://127.0.0.1:PORT/',
  ],
  ...[
    '//127.0.0.1:PORT/',
    '127.0.0.1:PORT/',
    '/etc/passwd',
    'file:///etc/passwd',
    'file://127.0.0.1/etc/passwd',
    'FILE:/etc/passwd',
  ],
  ...[
    'ftp://127.0.0.1:PORT/',
    'gopher://127.0.0.1:PORT/_GET',
    'dict://127.0.0.1:PORT/',
    'ldap://127.0.0.1:PORT/',
    'ws://127.0.0.1:PORT/',
  ],
  ...[
    'data:text/plain,secret',
    'javascript:1',
    'blob:http://127.0.0.1:PORT/1',
    'unix:/var/run/docker.sock',
    'http+unix://%2fvar%2frun%2fdocker.sock/',
  ],
  ...[
    'jar:http://127.0.0.1:PORT/!/',
    'view-source:http://127.0.0.1:PORT/',
    'http://unix:/var/run/docker.sock:/',
    'about:blank',
  ],
];

/** Answers of resolvers that must not lead anywhere. */
export const RESOLVED: readonly (readonly [what: string, addresses: readonly string[]])[] = [
  ['a public and a loopback address', ['93.184.216.34', '127.0.0.1']],
  ['a loopback and a public address', ['127.0.0.1', '93.184.216.34']],
  ['a private one among many public', [...Array.from({ length: 20 }, (_, index) => `93.184.216.${index}`), '10.0.0.1']],
  ['IPv6 loopback only', ['::1']],
  ['public IPv4 and IPv6 loopback', ['93.184.216.34', '::1']],
  ['mapped loopback only', ['::ffff:127.0.0.1']],
  ['metadata', ['169.254.169.254']],
  ['metadata over IPv6', ['fd00:ec2::254']],
  ['link-local with a zone', ['fe80::1%lo']],
  ['loopback with a zone', ['::1%lo']],
  ['nothing', []],
  ['an octal spelling', ['0177.0.0.1']],
  ['a decimal spelling', ['2130706433']],
  ['a short spelling', ['127.1']],
  ['no address at all', ['localhost']],
  ['an empty address', ['']],
];

/** What a name that the operator allows must not lead to. */
export const NOT_BY_NAME: readonly (readonly [what: string, addresses: readonly string[]])[] = [
  ['metadata', ['169.254.169.254']],
  ['metadata, mapped', ['::ffff:169.254.169.254']],
  ['metadata through NAT64', ['64:ff9b::a9fe:a9fe']],
  ['metadata of AWS over IPv6', ['fd00:ec2::254']],
  ['metadata of Alibaba', ['100.100.100.200']],
  ['metadata of Oracle', ['192.0.0.192']],
  ['platform of Azure', ['168.63.129.16']],
  ['a private address and metadata', ['10.0.0.1', '169.254.169.254']],
  ['IPv6 link-local', ['fe80::1']],
  ['this host', ['0.0.0.0']],
  ['multicast', ['224.0.0.1']],
];

/** Where a redirect may try to lead; `PORT` is the port that nobody may reach, `OWN` that of the server that answers. */
export const LOCATIONS: readonly string[] = [
  ...['http://localhost:PORT/', 'http://127.0.0.2:PORT/', 'http://[::1]:PORT/', 'http://[::ffff:127.0.0.1]:PORT/'],
  ...['http://2130706433:PORT/', 'http://0x7f.1:PORT/', 'http://0177.0.0.1:PORT/', 'http://127.1:PORT/'],
  ...[
    '//localhost:PORT/',
    '///localhost:PORT/',
    '////localhost:PORT/',
    '\\\\localhost:PORT\\',
    '/\\localhost:PORT/',
    '\\/localhost:PORT/',
  ],
  ...['http://rebind.example:PORT/', 'http://169.254.169.254/latest/meta-data/', 'https://localhost:PORT/'],
  ...[
    'http://127.0.0.1:OWN@localhost:PORT/',
    'http://localhost:PORT/#@127.0.0.1:OWN',
    'http://localhost:PORT\\@127.0.0.1:OWN/',
  ],
  ...['h\tttp://local\thost:PORT/', ' http://localhost:PORT/ ', 'HTTP://LOCALHOST:PORT/', 'http:\\\\localhost:PORT'],
  ...[
    'file:///etc/passwd',
    'file://localhost/etc/passwd',
    'data:text/plain,secret',
    'ftp://127.0.0.1:PORT/',
    'gopher://127.0.0.1:PORT/',
  ],
  ...[
    'javascript:alert(1)',
    'unix:/var/run/docker.sock',
    'ws://localhost:PORT/',
    'http://',
    'http://:PORT/',
    'http://[::1',
    'about:blank',
  ],
];

/** Statuses with a location: the first five are followed. */
export const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];
export const OTHER_STATUSES: readonly number[] = [300, 304, 305, 306, 201];

/** Headers that prove who calls; none may arrive at another origin. */
export const CREDENTIAL_HEADERS: readonly string[] = [
  ...['Authorization', 'Proxy-Authorization', 'Cookie', 'Cookie2', 'X-Api-Key', 'Api-Key', 'ApiKey', 'X-Auth-Token'],
  ...[
    'X-Access-Token',
    'Private-Token',
    'X-Vault-Token',
    'X-Shopify-Access-Token',
    'X-Amz-Security-Token',
    'X-Goog-Api-Key',
  ],
  ...[
    'Ocp-Apim-Subscription-Key',
    'X-Functions-Key',
    'DD-API-KEY',
    'DD-APPLICATION-KEY',
    'X-Auth-Key',
    'X-RapidAPI-Key',
  ],
  ...[
    'X-Figma-Token',
    'CF-Access-Client-Secret',
    'X-Csrf-Token',
    'X-Secret',
    'X-Client-Secret',
    'X-Password',
    'X-Session-Id',
  ],
  ...[
    'X-Jwt',
    'X-Token',
    'Token',
    'X-Auth',
    'X-Authorization',
    'X-Signature',
    'X-Bearer',
    'X-Credentials',
    'X-Consul-Token',
  ],
];

/** Headers that prove nothing: they go along. */
export const PLAIN_HEADERS: readonly string[] = [
  ...[
    'Accept',
    'Accept-Language',
    'Idempotency-Key',
    'Traceparent',
    'X-Request-Id',
    'If-None-Match',
    'Range',
    'User-Agent',
  ],
  ...['Content-Type', 'Cache-Control', 'X-Correlation-Id', 'X-Author', 'X-Keyboard'],
];

const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n';

/** An answer of a server: what it sends at once, and then without an end. */
export interface HostileAnswer {
  readonly what: string;
  readonly start: string;
  /** Sent again and again, as fast as it is taken. */
  readonly flood?: string;
  /** Sent again and again, every few milliseconds. */
  readonly trickle?: string;
  /** Closes after the start. */
  readonly ends?: boolean;
}

/** Answers that must end in a failure, in time, with the connection closed and constant memory. */
export const HOSTILE_ANSWERS: readonly HostileAnswer[] = [
  { what: 'nothing, ever', start: '' },
  { what: 'nothing, and closes', start: '', ends: true },
  { what: 'text without HTTP (HTTP/0.9)', start: '<html>hello</html>', ends: true },
  { what: 'another protocol', start: 'SSH-2.0-OpenSSH_9.2\r\n', ends: true },
  { what: 'HTTP/3.7', start: 'HTTP/3.7 200 OK\r\ncontent-length: 2\r\n\r\nok', ends: true },
  { what: 'a status that is none', start: 'HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok', ends: true },
  {
    what: 'an upgrade that nobody asked for',
    start: 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nraw',
  },
  { what: 'an upgrade without a header', start: 'HTTP/1.1 101 Switching Protocols\r\n\r\nraw' },
  { what: 'garbage without an end', start: '', flood: 'x'.repeat(65_536) },
  { what: 'line ends without an end', start: '', flood: '\r\n'.repeat(30_000) },
  {
    what: 'early hints without an end',
    start: '',
    flood: 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(100),
  },
  { what: 'processing without an end', start: '', flood: 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100) },
  { what: 'continue without an end', start: '', flood: 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100) },
  { what: 'a status line without an end', start: 'HTTP/1.1 200 ', flood: 'a'.repeat(65_536) },
  { what: 'a header name without an end', start: 'HTTP/1.1 200 OK\r\n', flood: 'a'.repeat(65_536) },
  { what: 'a header value without an end', start: 'HTTP/1.1 200 OK\r\nx: ', flood: 'a'.repeat(65_536) },
  { what: 'blanks before a header value without an end', start: 'HTTP/1.1 200 OK\r\nx:', flood: ' '.repeat(65_536) },
  { what: 'headers without an end', start: 'HTTP/1.1 200 OK\r\n', flood: 'x-a: b\r\n'.repeat(8_000) },
  { what: 'empty headers without an end', start: 'HTTP/1.1 200 OK\r\n', flood: 'a:\r\n'.repeat(16_000) },
  { what: 'cookies without an end', start: 'HTTP/1.1 200 OK\r\n', flood: 'set-cookie: a=b\r\n'.repeat(4_000) },
  { what: 'a head that comes byte by byte', start: 'HTTP/1.1 200 OK\r\nx: ', trickle: 'a' },
  { what: 'a body that comes byte by byte', start: `${HEAD}content-length: 1000000\r\n\r\n`, trickle: 'a' },
  { what: 'chunks that come byte by byte', start: `${HEAD}transfer-encoding: chunked\r\n\r\n`, trickle: '1\r\na\r\n' },
  { what: 'a body without an end that comes byte by byte', start: `${HEAD}\r\n`, trickle: 'a' },
  {
    what: 'a chunk extension without an end',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\n5;`,
    flood: 'a'.repeat(65_536),
  },
  {
    what: 'a chunk size without an end',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\n`,
    flood: '0'.repeat(65_536),
  },
  {
    what: 'chunks of one byte without an end',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\n`,
    flood: '1\r\na\r\n'.repeat(8_000),
  },
  {
    what: 'a chunk size beyond all numbers',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nok`,
  },
  { what: 'a negative chunk size', start: `${HEAD}transfer-encoding: chunked\r\n\r\n-1\r\nok\r\n0\r\n\r\n` },
  {
    what: 'trailers without an end',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`,
    flood: 'x-t: a\r\n'.repeat(8_000),
  },
  {
    what: 'a trailer without an end',
    start: `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: `,
    flood: 'a'.repeat(65_536),
  },
  { what: 'a body that is too short', start: `${HEAD}content-length: 100\r\n\r\nok`, ends: true },
  { what: 'a length beyond all numbers', start: `${HEAD}content-length: 99999999999999999999\r\n\r\nok`, ends: true },
  { what: 'a negative length', start: `${HEAD}content-length: -1\r\n\r\nok`, ends: true },
  { what: 'a length with a sign', start: `${HEAD}content-length: +2\r\n\r\nok`, ends: true },
  { what: 'a length in hex', start: `${HEAD}content-length: 0x2\r\n\r\nok`, ends: true },
  { what: 'two lengths', start: `${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\nok!`, ends: true },
  { what: 'a list of lengths', start: `${HEAD}content-length: 2, 3\r\n\r\nok!`, ends: true },
  {
    what: 'a length and chunks',
    start: `${HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
  },
  { what: 'line ends of LF alone', start: 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok', ends: true },
  { what: 'a folded header', start: `${HEAD}x: a\r\n b\r\ncontent-length: 2\r\n\r\nok`, ends: true },
  { what: 'a blank before the colon', start: `${HEAD}content-length : 2\r\n\r\nok`, ends: true },
  { what: 'a NUL in a header', start: `${HEAD}x: a\0b\r\ncontent-length: 2\r\n\r\nok`, ends: true },
  { what: 'a CR in a header', start: `${HEAD}x: a\rcontent-length: 2\r\n\r\nok`, ends: true },
  { what: 'a redirect to itself', start: 'HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n' },
  { what: 'redirects from page to page', start: 'HTTP/1.1 307 Temporary\r\nlocation: ?a\r\ncontent-length: 0\r\n\r\n' },
  { what: 'a redirect without a location', start: 'HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n' },
  {
    what: 'a redirect with two locations',
    start: 'HTTP/1.1 302 Found\r\nlocation: /a\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n',
  },
];

/** What comes after a whole answer must not be taken for the answer to the next request. */
export const SMUGGLED_ANSWERS: readonly (readonly [what: string, more: string])[] = [
  ['a second answer', 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nEVIL'],
  ['more of the body', 'EVIL'],
  ['a second answer in pieces', 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n'],
  [
    'a line end and a second answer',
    '\r\nHTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nEVIL',
  ],
];

/** Answers that are as they should be. */
export const FINE_ANSWERS: readonly (readonly [what: string, answer: string])[] = [
  ['a length', `${HEAD}content-length: 2\r\n\r\nok`],
  ['chunks', `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n`],
  [
    'chunks with extensions and trailers',
    `${HEAD}transfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx-t: a\r\n\r\n`,
  ],
  ['early hints before', `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n${HEAD}content-length: 2\r\n\r\nok`],
  [
    '200 headers',
    `${HEAD}${Array.from({ length: 200 }, (_, index) => `x-${index}: a\r\n`).join('')}content-length: 2\r\n\r\nok`,
  ],
  ['a header of 30 KiB', `${HEAD}x-long: ${'a'.repeat(30_000)}\r\ncontent-length: 2\r\n\r\nok`],
  [
    'headers named like parts of objects',
    `${HEAD}__proto__: a\r\n__proto__: b\r\nconstructor: c\r\ncontent-length: 2\r\n\r\nok`,
  ],
];

/** Parts of a request that try to become another request or another header; none may reach the server as one. */
export const SMUGGLED_REQUESTS: readonly (readonly [what: string, args: Readonly<Record<string, unknown>>])[] = [
  ...[
    'a\r\nx-evil: 1',
    'a\nx-evil: 1',
    'a\rx-evil: 1',
    'a\0b',
    'a\u010ax-evil: 1',
    'a\r\n\r\nGET /evil HTTP/1.1',
    'ä€',
    '\u{1f600}',
  ].map((value): readonly [string, Readonly<Record<string, unknown>>] => [
    `the header value ${JSON.stringify(value)}`,
    { headers: { 'x-a': value } },
  ]),
  ...['x-evil: 1\r\nx', 'x evil', 'x:evil', 'x\0', '', ' x', 'x\n', 'x(', 'ä'].map(
    (name): readonly [string, Readonly<Record<string, unknown>>] => [
      `the header name ${JSON.stringify(name)}`,
      { headers: { [name]: 'a' } },
    ],
  ),
  ...[
    'Host',
    'Connection',
    'Transfer-Encoding',
    'Content-Length',
    'TE',
    'Trailer',
    'Upgrade',
    'Expect',
    'Keep-Alive',
    'Proxy-Connection',
    'HTTP2-Settings',
  ].map((name): readonly [string, Readonly<Record<string, unknown>>] => [
    `the header ${name}`,
    { headers: { [name]: 'chunked' } },
  ]),
  ['a header twice', { headers: { 'x-a': '1', 'X-A': '2' } }],
  ...['GET /evil HTTP/1.1\r\nx-evil: 1\r\n\r\nGET', 'GET\r\n', 'CONNECT', 'G E T', '', 'GET\0'].map(
    (method): readonly [string, Readonly<Record<string, unknown>>] => [
      `the method ${JSON.stringify(method)}`,
      { method },
    ],
  ),
  ...[
    '/a b\r\nx-evil: 1',
    '/a%0d%0ax-evil:%201',
    '/a\r\n\r\nGET /evil HTTP/1.1\r\n',
    '/?a=\r\nx-evil: 1',
    '/#\r\nx-evil: 1',
    '/\\evil',
  ].map((path): readonly [string, Readonly<Record<string, unknown>>] => [`the path ${JSON.stringify(path)}`, { path }]),
  ['a query name with line ends', { query: { 'a\r\nx-evil: 1': 'b' } }],
  ['a query value with line ends', { query: { a: ' HTTP/1.1\r\nx-evil: 1\r\n\r\n' } }],
  ['a query that is half a character', { query: { a: '\ud800' } }],
  ['a token with line ends', { authentication: { bearer: { token: 'a\r\nx-evil: 1' } } }],
  ['a user name with line ends', { authentication: { basic: { username: 'a\r\nx-evil: 1', password: 'b' } } }],
  ['a password with line ends', { authentication: { basic: { username: 'a', password: 'b\r\nx-evil: 1' } } }],
  ['a user name with a colon', { authentication: { basic: { username: 'a:b', password: 'c' } } }],
  [
    'a body that looks like a request',
    { method: 'POST', body: 'a\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nx-evil: 1\r\n\r\n' },
  ],
  [
    'bytes that look like a request',
    {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: { base64: Buffer.from('0\r\n\r\nGET /evil HTTP/1.1\r\n\r\n').toString('base64') },
    },
  ],
  ['a body with GET', { method: 'GET', body: 'GET /evil HTTP/1.1\r\nx-evil: 1\r\n\r\n' }],
];

/** Requests that are as they should be. */
export const FINE_REQUESTS: readonly (readonly [what: string, args: Readonly<Record<string, unknown>>])[] = [
  ['headers of Latin-1', { headers: { 'x-a': 'caf\u00e9; q="1"' } }],
  ['a query of any text', { query: { 'ä & ?': ['1', 'a=b&c'] } }],
  ['a body of JSON', { method: 'POST', body: { a: 'line\r\nline' } }],
  ['basic credentials', { authentication: { basic: { username: 'a', password: 'b:c ä' } } }],
];
