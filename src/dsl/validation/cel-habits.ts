import { closestName, shortText } from '../problems';
import { type Readable, rewritePath } from './rewrite-path';

/** Functions of other languages, and what CEL has for them; `x` is what they are called on, or with. */
const FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ...['len', 'length', 'count'].map((name) => [name, 'size(x)'] as const),
  ...['toUpperCase', 'upper', 'uppercase', 'ascii_upcase', 'toUpper'].map((name) => [name, 'x.upperAscii()'] as const),
  ...['toLowerCase', 'lower', 'lowercase', 'ascii_downcase', 'toLower'].map(
    (name) => [name, 'x.lowerAscii()'] as const,
  ),
  ...['includes', 'contains'].map((name) => [name, 'x.contains("a") for text, "a" in x for a list'] as const),
  ...['strip', 'ltrim', 'rtrim'].map((name) => [name, 'x.trim()'] as const),
  ...['str', 'toString', 'tostring', 'text'].map((name) => [name, 'string(x)'] as const),
  ...['number', 'tonumber', 'float', 'parseFloat', 'parseInt', 'toNumber'].map(
    (name) => [name, 'double(x), or int(x)'] as const,
  ),
  ...['default', 'orElse', 'coalesce', 'nvl', 'ifnull'].map((name) => [name, 'data.?name.orValue("none")'] as const),
  ...['now', 'today', 'currentTime', 'timestampNow'].map(
    (name) => [name, 'workflow.startedAt.iso8601 or task.startedAt.iso8601; there is no clock'] as const,
  ),
  ...['uuid', 'random', 'rand', 'uuid4', 'randomUUID'].map(
    (name) => [name, 'workflow.id, which differs for each run; there is no randomness'] as const,
  ),
  ...['add', 'total'].map((name) => [name, 'sum(list)'] as const),
  ...['json', 'toJSON', 'tojson', 'stringify', 'dump', 'to_json'].map((name) => [name, 'toJson(x)'] as const),
  ...['parse', 'fromjson', 'fromJSON', 'parse_json', 'from_json', 'parseJson'].map(
    (name) => [name, 'fromJson(text)'] as const,
  ),
  ...['select', 'where', 'grep'].map((name) => [name, 'list.filter(item, item.open)'] as const),
  ...['any', 'some'].map((name) => [name, 'list.exists(item, item.open)'] as const),
  ...['every'].map((name) => [name, 'list.all(item, item.open)'] as const),
  ...['first', 'head'].map((name) => [name, 'list[0]'] as const),
  ...['last', 'tail'].map((name) => [name, 'list[size(list) - 1]'] as const),
  ...['startsWith', 'startswith', 'starts_with'].map((name) => [name, 'x.startsWith("a")'] as const),
  ...['endsWith', 'endswith', 'ends_with'].map((name) => [name, 'x.endsWith("a")'] as const),
  ...['match', 'regex', 'regexMatch', 'test'].map((name) => [name, 'x.matches("^a")'] as const),
  ...['ceil', 'floor', 'trunc'].map((name) => [name, 'int(x), which cuts, or round(x)'] as const),
  ...['concat', 'format', 'printf', 'sprintf'].map(
    (name) => [name, '"a" + string(x), or text with several ${ … } in it'] as const,
  ),
  ...['is_null', 'isNull', 'isEmpty', 'empty', 'is_empty'].map((name) => [name, 'x == null, or size(x) == 0'] as const),
  ...['exists', 'defined', 'isDefined'].map((name) => [name, 'has(data.name)'] as const),
  ...['success', 'always', 'failure', 'cancelled'].map(
    (name) => [name, 'a `try` with `catch`; a step runs only where those before did not fail'] as const,
  ),
]);

/** CEL's own functions and those that this project adds. */
const KNOWN_FUNCTIONS =
  `size has string int double uint bool bytes dyn type timestamp duration sum round toJson fromJson startsWith endsWith contains matches
   indexOf lastIndexOf substring split trim lowerAscii upperAscii join map filter exists exists_one all orValue getFullYear getMonth
   getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds getMilliseconds`.split(/\s+/);

/** What is said of a call that CEL has no function for: `len(dyn)`, `dyn.upper()`. */
export function explainCelFunction(call: string): string {
  const name = /([A-Za-z_]\w*)\([^()]*\)$/.exec(call)?.[1] ?? '';
  const there = `there is no function ${shortText(call)}`;
  const instead = FUNCTIONS.get(name);
  if (instead !== undefined) return `${there}; write ${instead}`;
  if (KNOWN_FUNCTIONS.includes(name))
    return `${there}: ${name} takes other types; see the name and the types of its arguments`;
  const meant = closestName(name, KNOWN_FUNCTIONS);
  if (meant !== undefined) return `${there}; did you mean "${meant}"?`;
  return `${there}; see the name and the types of its arguments`;
}

/** A message of the library about the syntax. */
interface SyntaxError {
  readonly message: string;
  readonly expression: string;
  /** From 0. */
  readonly offset: number;
}

const BRACKETS: ReadonlyMap<string, string> = new Map([
  ['RPAREN', '")"'],
  ['RBRACKET', '"]"'],
  ['RBRACE', '"}"'],
]);

/** What people of other languages write, in the words of CEL; undefined where the message says enough. */
export function explainCelSyntax(error: SyntaxError, readable: Readable): string | undefined {
  const { message, expression, offset } = error;
  return (
    braces(error, readable) ??
    dollarOrDot(error, readable) ??
    operator(error, readable) ??
    ending(message) ??
    word(message, expression, offset)
  );
}

/** `${{ a }}` and `{{ a }}` */
function braces({ expression }: SyntaxError, readable: Readable): string | undefined {
  const [, inside] = /^\{+([^{}"']{1,500})\}+$/s.exec(expression) ?? [];
  if (inside === undefined || inside.includes(':')) return undefined;
  const meant = rewritePath(inside, readable, { isData: true }) ?? inside.trim();
  return `braces are doubled; write \${ ${shortText(meant)} }`;
}

function dollarOrDot({ message, expression, offset }: SyntaxError, readable: Readable): string | undefined {
  if (!/^Unexpected (?:character: \$|token: DOT)/.test(message)) return undefined;
  if (expression.charAt(offset - 1) === '?') return `${message}; optional access is written .? in CEL: data.?name`;
  const [path = ''] =
    /^[$.]?\.?[A-Za-z_][\w.]*(?:\[(?:\d+|\])[\w.[\]]*)?/.exec(expression.slice(offset, offset + 300)) ?? [];
  const shown = path.replace(/\.$/, '');
  const rest = expression.slice(offset + shown.length);
  const list = /^(.*?)\[\]\.?(.*)$/.exec(shown);
  const meant =
    list === null ? rewritePath(shown, readable) : mapped(rewritePath(list[1] ?? '', readable), list[2] ?? '');
  if (meant === undefined) {
    const isRoot = /^[$.]?(?:$|[^\w.])/.test(expression.slice(offset)) && shown === '';
    const advice = isRoot ? 'write data' : 'write data.name or context.name';
    return `${message}; this looks like jq, but the flow is in CEL: ${advice}`;
  }
  const piped = offset === 0 ? pipe(`${meant}${rest}`, meant.length) : undefined;
  return `${message}; this looks like jq, but the flow is in CEL: write ${piped ?? `${meant} for ${shown}`}`;
}

function mapped(list: string | undefined, property: string): string | undefined {
  if (list === undefined) return undefined;
  return property === '' ? list : `${list}.map(item, item.${property})`;
}

/** What filters of jq, Jinja and Handlebars are in CEL. */
const PIPES: ReadonlyMap<string, (value: string, argument: string) => string> = new Map([
  ...['length', 'count', 'size'].map((name) => [name, (value: string) => `size(${value})`] as const),
  ...['upper', 'ascii_upcase', 'upcase'].map((name) => [name, (value: string) => `${value}.upperAscii()`] as const),
  ...['lower', 'ascii_downcase', 'downcase'].map((name) => [name, (value: string) => `${value}.lowerAscii()`] as const),
  ...['add', 'sum'].map((name) => [name, (value: string) => `sum(${value})`] as const),
  ...['tostring', 'string'].map((name) => [name, (value: string) => `string(${value})`] as const),
  ...['tonumber', 'float'].map((name) => [name, (value: string) => `double(${value})`] as const),
  ['int', (value: string) => `int(${value})`],
  ...['tojson', 'to_json', 'json', 'toJson'].map((name) => [name, (value: string) => `toJson(${value})`] as const),
  ...['fromjson', 'from_json'].map((name) => [name, (value: string) => `fromJson(${value})`] as const),
  ...['trim', 'strip'].map((name) => [name, (value: string) => `${value}.trim()`] as const),
  ['first', (value: string) => `${value}[0]`],
  ['last', (value: string) => `${value}[size(${value}) - 1]`],
  ['not', (value: string) => `!${value}`],
  ['round', (value: string) => `round(${value})`],
  ['join', (value: string, argument: string) => `${value}.join(${argument === '' ? '", "' : argument})`],
  [
    'default',
    (value: string, argument: string) => `${optional(value)}.orValue(${argument === '' ? '"none"' : argument})`,
  ],
  [
    'map',
    (value: string, argument: string) => `${value}.map(item, ${argument.startsWith('.') ? `item${argument}` : '…'})`,
  ],
  ['select', (value: string) => `${value}.filter(item, …)`],
]);

function optional(path: string): string {
  const at = path.lastIndexOf('.');
  return at === -1 ? path : `${path.slice(0, at)}.?${path.slice(at + 1)}`;
}

/** The CEL of `value | filter`, where it is simple enough. */
function pipe(expression: string, at: number): string | undefined {
  const [, filter = '', argument = ''] =
    /^\s*\|\s*([A-Za-z_]\w*)\s*(?:\(([^()]{0,80})\))?\s*$/.exec(expression.slice(at, at + 200)) ?? [];
  const value = expression.slice(0, at).trim();
  if (!/^[\w.[\]"?]{1,200}$/.test(value)) return undefined;
  return PIPES.get(filter)?.(value, argument.trim());
}

function operator({ message, expression, offset }: SyntaxError, readable: Readable): string | undefined {
  const rest = expression.slice(offset, offset + 200);
  const before = expression.slice(Math.max(0, offset - 200), offset);
  if (message.startsWith('Unexpected character: |')) {
    const written = pipe(expression, offset);
    return `${message}; CEL has no | to pass a value on: ${written === undefined ? 'call a function, such as size(data.items), or write || for or' : `write ${written}`}`;
  }
  if (message.startsWith('Unexpected character: &')) return `${message}; write && for and, + to join text`;
  if (/^Unexpected character: =/.test(message)) {
    if (/^=?>/.test(rest) || before.endsWith('=>'))
      return `${message}; there are no arrow functions: write data.items.map(item, item.price)`;
    return `${message}; CEL compares with ==`;
  }
  if (/^Unexpected token: QUESTION/.test(message))
    return `${message}; for a value that may be absent write data.?name.orValue("none")`;
  if (/^Unexpected token: COLON/.test(message) && before.trimEnd().endsWith('?'))
    return `${message}; a condition is written test ? value : other, a default data.?name.orValue("none")`;
  if (/^Unexpected (?:token: (?:RBRACKET|MULTIPLY))/.test(message) && before.trimEnd().endsWith('[')) {
    const list = /[\w.]+(?=\[\s*$)/.exec(before)?.[0] ?? 'data.items';
    const property = /^\*?\s*\]\.([A-Za-z_]\w*)/.exec(rest)?.[1] ?? 'name';
    return `${message}; write ${rewritePath(list, readable) ?? list}.map(item, item.${property}) for each item`;
  }
  if (message.startsWith('Unexpected character: `')) return `${message}; text stands in "…" or '…', and + joins it`;
  if (/^Unterminated string/.test(message)) return `${message}: a quote is not closed`;
  if (/^Expected IDENTIFIER, got (?:STRING|NUMBER)/.test(message))
    return `${message}; other names are written in brackets: data["a name"], data.list[0]`;
  return undefined;
}

function ending(message: string): string | undefined {
  const awaited = /^Expected (\w+), got EOF$/.exec(message)?.[1];
  if (message === 'Unexpected token: EOF' || awaited === 'IDENTIFIER') return 'it ends too early';
  if (awaited === 'COLON')
    return 'it ends too early, expected ":" and the other value: a condition is written test ? value : other';
  return awaited === undefined ? undefined : `it ends too early, expected ${BRACKETS.get(awaited) ?? awaited}`;
}

/** Words that are operators elsewhere; the library complains at one of their letters. */
function word(message: string, expression: string, offset: number): string | undefined {
  if (/^Expected IDENTIFIER, got (IN|NULL|BOOLEAN)$/.test(message))
    return `${message}; a key that is a word of CEL is written in brackets: data["in"]`;
  if (/^Reserved identifier: (?:if|else)/.test(message))
    return `${message}; a condition is written test ? value : other`;
  if (!/^Unexpected (?:character: '?\w|token: (?:IDENTIFIER|STRING|NUMBER|NULL|BOOLEAN))/.test(message))
    return undefined;
  const rest = expression.slice(offset, offset + 40);
  if (/(?:^|\s)not\s*$/.test(expression.slice(Math.max(0, offset - 20), offset)))
    return `${message}; write ! for not: !data.closed`;
  const [operator = ''] = /^(?:and|or|is|eq|ne|gt|lt|ge|le|matches|contains|then)\b/.exec(rest) ?? [];
  const meant = OPERATORS.get(operator);
  return meant === undefined ? undefined : `${message}; write ${meant}`;
}

const OPERATORS: ReadonlyMap<string, string> = new Map([
  ['and', '&& for and'],
  ['or', '|| for or'],
  ['is', 'has(data.name) for "is defined", == for "is"'],
  ['eq', '== for eq'],
  ['ne', '!= for ne'],
  ['gt', '> for gt'],
  ['lt', '< for lt'],
  ['ge', '>= for ge'],
  ['le', '<= for le'],
  ['matches', 'x.matches("^a")'],
  ['contains', 'x.contains("a")'],
  ['then', 'test ? value : other'],
]);
