/** One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** Names in lower case, values without their quotes. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const PARAMETER = new RegExp(`^(${TOKEN})\\s*=\\s*(?:"((?:\\\\[\\s\\S]|[^"\\\\])*)"|(${TOKEN}))\\s*(?:,\\s*|$)`);
const SCHEME = new RegExp(`^(${TOKEN})(?:\\s+|\\s*,\\s*|$)`);
/** What follows a scheme that has no parameters but one text, such as Negotiate. */
const TOKEN68 = /^[A-Za-z0-9\-._~+/]+=*\s*(?:,\s*|$)/;

/** Reads the header, where several are joined with commas, which separate parameters as well. Stops at what it cannot read. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let rest = header.replace(/^[\s,]+/, '');
  while (rest !== '') {
    const parameter = PARAMETER.exec(rest);
    const current = challenges.at(-1);
    if (parameter !== null && current !== undefined) {
      const [text, name = '', quoted, plain = ''] = parameter;
      current.parameters.set(name.toLowerCase(), quoted?.replace(/\\([\s\S])/g, '$1') ?? plain);
      rest = rest.slice(text.length);
      continue;
    }
    const scheme = SCHEME.exec(rest);
    if (scheme === null) return challenges;
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() });
    rest = rest.slice(scheme[0].length);
    if (PARAMETER.exec(rest) === null) rest = rest.replace(TOKEN68, (text) => (SCHEME.test(text) ? text : ''));
  }
  return challenges;
}
