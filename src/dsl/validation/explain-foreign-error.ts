import { type ForeignLanguage, foreignTokens } from '../expressions/foreign-references';
import { closestName, listNames, shortText } from '../problems';
import { NOT_THERE } from './explain-expression-error';
import { type Readable, rewritePath } from './rewrite-path';

/** What people of another language write, and what to write instead. */
const HABITS: Record<ForeignLanguage, readonly (readonly [RegExp, string])[]> = {
  jq: [
    [/'/, 'jq has text in double quotes only'],
    [/`/, 'jq has text in double quotes only, with \\( … ) in it for a value'],
    [/&&/, 'jq writes `and` for &&'],
    [/\|\|/, 'jq writes `or` for ||'],
    [/===/, 'jq writes == for ==='],
    [/!(?!=)/, 'jq writes `… | not` for !'],
    [/\.\?[A-Za-z_]/, 'jq gives null where a property is absent: write .a.b, and .a // "none" for a default'],
    [/\?\?/, 'jq writes .a // "none" for a default'],
    [/\?\./, 'jq gives null where a property is absent: write .a.b for .a?.b'],
    [/\?[^/?]*:/, 'jq writes if … then … else … end'],
    [/\borValue\b|\bhas\s*\(\s*data\b/, 'this looks like CEL; in jq write .a // "none" for a default'],
    [/\[\*\]/, 'jq writes .items[] for each item'],
    [/=>/, 'jq has no arrow functions: write [.items[] | .price]'],
    [/^\s*if\b(?!.*\bend\b)/s, 'jq closes it with end: if … then … else … end'],
    [/\.\w+\(/, 'jq has functions and no methods: write .name | ascii_upcase, [.items[] | .price], .items | length'],
    [/\?\s*[^\s?:|,)\]}]/, 'jq writes if … then … else … end for a condition'],
  ],
  jsonata: [
    [/^\./, 'JSONata has no dot in front: write name for .name, and $ for .'],
    [/==/, 'JSONata writes = for =='],
    [/&&/, 'JSONata writes `and` for &&'],
    [/\|\|/, 'JSONata writes `or` for ||'],
    [/!(?!=)/, 'JSONata writes $not(…) for !'],
    [/\/\//, 'for a default JSONata writes $exists(a) ? a : "none"'],
    [/\?\?/, 'for a default JSONata writes $exists(a) ? a : "none"'],
    [/\.\?[A-Za-z_]|\?\./, 'JSONata gives nothing where a property is absent: write a.b'],
    [/=>/, 'JSONata writes function($item) { $item.price } for item => item.price'],
    [/^\s*if\b|\bthen\b/, 'JSONata writes test ? value : other'],
    [/\[\]|\|/, 'this looks like jq; in JSONata write items.price for .items[].price, and a.b for .a | .b'],
    [/(?:^|[^\w)\]$"'`])\./, 'JSONata has no dot in front: write name for .name, and $ for .'],
  ],
};

/** Functions of other languages, and what jq has for them. */
const JQ_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ...['size', 'len', 'count'].map((name) => [name, '.items | length'] as const),
  ...['upper', 'toUpper', 'upperAscii', 'toUpperCase', 'uppercase'].map(
    (name) => [name, '.name | ascii_upcase'] as const,
  ),
  ...['lower', 'toLower', 'lowerAscii', 'toLowerCase', 'lowercase'].map(
    (name) => [name, '.name | ascii_downcase'] as const,
  ),
  ...['string', 'str', 'toString'].map((name) => [name, '.a | tostring'] as const),
  ...['int', 'double', 'float', 'number'].map((name) => [name, '.a | tonumber'] as const),
  ...['sum', 'total'].map((name) => [name, '.items | add'] as const),
  ...['default', 'coalesce', 'orElse'].map((name) => [name, '.a // "none"'] as const),
  ...['toJson', 'json'].map((name) => [name, '.a | tojson'] as const),
  ...['fromJson'].map((name) => [name, '.a | fromjson'] as const),
  ...['filter', 'where'].map((name) => [name, '[.items[] | select(.open)]'] as const),
  ...['exists', 'defined'].map((name) => [name, '.a != null'] as const),
  ...['matches', 'regex'].map((name) => [name, '.a | test("^a")'] as const),
  ...['yes', 'on', 'True'].map((name) => [name, 'true'] as const),
  ...['no', 'off', 'False'].map((name) => [name, 'false'] as const),
  ...['undefined', 'none', 'None', 'nil'].map((name) => [name, 'null'] as const),
]);

/** What the language's parser says; the offset is from 0. */
interface ForeignError {
  readonly message: string;
  readonly offset?: number;
}

/** What the language's parser says, and what people usually meant. */
export function explainForeignError(
  expression: string,
  { message, offset }: ForeignError,
  readable: Readable & { readonly language: ForeignLanguage | 'cel' },
): string {
  const language = readable.language === 'jq' ? 'jq' : 'jsonata';
  const variable = /^\$(\w+) is not (?:defined|known here)/.exec(message)?.[1];
  if (variable !== undefined) return explainUnknownName(variable, expression, readable, language);
  if (/ is no function; write /.test(message)) return message;
  const [, called, arity] = /^(\w+)\/(\d) is not defined/.exec(message) ?? [];
  if (called !== undefined) return explainUnknownFunction(message, { called, arity, expression }, readable);
  const code = codeOf(expression, language);
  const doubled = /^\{+\s*([^{}:,"']{1,300}?)\s*\}+$/s.exec(expression)?.[1];
  if (doubled !== undefined)
    return `${message}; braces are doubled: write \${ ${shortText(rewritePath(doubled, readable, { isData: true }) ?? doubled)} }`;
  const path = /(?<![\w$.)\]])(?:\$\.[A-Za-z_]|\.[A-Za-z_])[\w.]*/.exec(
    offset === undefined ? code : code.slice(offset),
  )?.[0];
  const wrongPath = path !== undefined && (language === 'jsonata' || path.startsWith('$.')) ? path : undefined;
  const meant = wrongPath === undefined ? undefined : rewritePath(wrongPath, readable);
  if (wrongPath !== undefined && meant !== undefined && meant !== wrongPath) {
    const reason = language === 'jq' ? '' : 'JSONata has no dot in front: ';
    return `${message}; ${reason}write ${meant} for ${wrongPath}`;
  }
  const habit = HABITS[language].find(([pattern]) => pattern.test(code))?.[1];
  return habit === undefined ? message : `${message}; ${habit}`;
}

/** `input.a` in jq reads the next input of jq itself, of which there is none. */
export function misreadInput(expression: string): string | undefined {
  const tokens = foreignTokens(expression, 'jq');
  const index = tokens.findIndex(({ kind, text, end }, at) => {
    const [before, after] = [tokens[at - 1], tokens[at + 1]];
    const isProperty = before?.text === '.' || before?.text === '"' || after?.text === ':';
    return kind === 'name' && text === 'input' && !isProperty && after?.text === '.' && after.at === end;
  });
  if (index === -1) return undefined;
  return `\${ ${shortText(expression, 200)} }: \`input\` is another thing in jq and has nothing here; write $input, or . for what the expression is evaluated on`;
}

function explainUnknownFunction(
  message: string,
  { called, arity, expression }: { called: string; arity: string | undefined; expression: string },
  readable: Readable,
): string {
  if (called === 'data') {
    const path = /\bdata((?:\.[A-Za-z_]\w*)+)/.exec(expression)?.[1] ?? '.name';
    return `${message}; what the expression is evaluated on is . in jq: write .name for data.name, here ${path}; CEL needs evaluate: { language: cel }`;
  }
  if (arity === '0') {
    if (readable.variables.includes(called)) return `${message}; in jq it is written $${called}`;
    const path = new RegExp(`(?<![\\w.$])${called}[\\w.]*`).exec(expression)?.[0] ?? called;
    const meant = rewritePath(path.replace(/\.$/, ''), readable);
    if (meant !== undefined) return `${message}; write ${meant}`;
    const dashed = new RegExp(`\\.([A-Za-z_]\\w*)-${called}\\b`).exec(expression)?.[1];
    if (dashed !== undefined) return `${message}; a name with - is written in quotes: ."${dashed}-${called}"`;
  }
  const instead = JQ_FUNCTIONS.get(called);
  if (instead !== undefined) return `${message}; write ${instead}`;
  if (arity !== '0') return message;
  return `${message}; for a property of the data write .${shortText(called)}, for text "${shortText(called)}" in quotes`;
}

/** The text without what stands in strings and comments. */
function codeOf(expression: string, language: ForeignLanguage): string {
  let code = '';
  for (const { kind, at, end } of foreignTokens(expression, language)) {
    const text = kind === 'string' ? '""' : expression.slice(at, end);
    code += `${at > code.length ? ' '.repeat(at - code.length) : ''}${text}`;
  }
  return code;
}

function explainUnknownName(name: string, expression: string, readable: Readable, language: ForeignLanguage): string {
  const root = language === 'jq' ? '.' : '$';
  const { variables } = readable;
  const reason = NOT_THERE.get(name);
  const path = new RegExp(`\\$${name}(?:\\.[A-Za-z_]\\w*)*`).exec(expression)?.[0];
  const meant = path === undefined ? undefined : rewritePath(path, readable);
  if (name === 'data')
    return `there is no $data; what the expression is evaluated on is ${root}${meant === undefined ? '' : `: write ${meant} for ${path}`}`;
  if (reason !== undefined) {
    return reason.replace(/`(\w+)(\.[\w.]+)?`/g, (_, word: string, rest = '') =>
      word === 'data' ? `\`${root}\`` : NOT_THERE.has(word) || rest !== '' ? `\`$${word}${rest}\`` : `\`${word}\``,
    );
  }
  const unknown = `$${shortText(name)} is not known here`;
  const slip = closestName(
    name,
    variables.filter((variable) => variable !== 'data'),
  );
  if (meant !== undefined) return `${unknown}; write ${meant}`;
  const all = listNames(variables.filter((variable) => variable !== 'data').map((variable) => `$${variable}`));
  return `${unknown}; ${slip === undefined ? `there are: ${all}` : `did you mean $${slip}?`}`;
}
