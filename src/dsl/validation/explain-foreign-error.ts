import { type ForeignLanguage, foreignTokens } from '../expressions/foreign-references';
import { closestName, listNames, shortText } from '../problems';
import { NOT_THERE } from './explain-expression-error';

/** What people of another language write, and what to write instead. */
const HABITS: Record<ForeignLanguage, readonly (readonly [RegExp, string])[]> = {
  jq: [
    [/'/, 'jq has text in double quotes only'],
    [/&&/, 'jq writes `and` for &&'],
    [/\|\|/, 'jq writes `or` for ||'],
    [/===/, 'jq writes == for ==='],
    [/!(?!=)/, 'jq writes `… | not` for !'],
    [/\.\?[A-Za-z_]/, 'jq gives null where a property is absent: write .a.b, and .a // "none" for a default'],
    [/\?[^/?]*:/, 'jq writes if … then … else … end'],
    [/\borValue\b|\bhas\s*\(\s*data\b/, 'this looks like CEL; in jq write .a // "none" for a default'],
  ],
  jsonata: [
    [/^\./, 'JSONata has no dot in front: write name for .name, and $ for .'],
    [/==/, 'JSONata writes = for =='],
    [/&&/, 'JSONata writes `and` for &&'],
    [/\|\|/, 'JSONata writes `or` for ||'],
    [/!(?!=)/, 'JSONata writes $not(…) for !'],
    [/\/\//, 'for a default JSONata writes $exists(a) ? a : "none"'],
    [/\.\?[A-Za-z_]/, 'JSONata gives nothing where a property is absent: write a.b'],
    [/\[\]|\|/, 'this looks like jq; in JSONata write items.price for .items[].price, and a.b for .a | .b'],
  ],
};

/** What the language's parser says, and what people usually meant. */
export function explainForeignError(
  expression: string,
  message: string,
  { language, variables }: { language: ForeignLanguage; variables: readonly string[] },
): string {
  const variable = /^\$(\w+) is not (?:defined|known here)/.exec(message)?.[1];
  if (variable !== undefined) return explainUnknownName(variable, language, variables);
  const called = /^(\w+)\/0 is not defined/.exec(message)?.[1];
  if (called === 'data') return `${message}; what the expression is evaluated on is . in jq: write .name for data.name`;
  if (called !== undefined && variables.includes(called)) return `${message}; in jq it is written $${called}`;
  const code = codeOf(expression, language);
  const habit = HABITS[language].find(([pattern]) => pattern.test(code))?.[1];
  return habit === undefined ? message : `${message}; ${habit}`;
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

function explainUnknownName(name: string, language: ForeignLanguage, variables: readonly string[]): string {
  const root = language === 'jq' ? '.' : '$';
  const reason = NOT_THERE.get(name);
  if (name === 'data') return `there is no $data; what the expression is evaluated on is ${root}`;
  if (reason !== undefined) {
    return reason.replace(/`(\w+)(\.[\w.]+)?`/g, (_, word: string, rest = '') =>
      word === 'data' ? `\`${root}\`` : NOT_THERE.has(word) || rest !== '' ? `\`$${word}${rest}\`` : `\`${word}\``,
    );
  }
  const meant = closestName(name, variables);
  const all = listNames(variables.map((variable) => `$${variable}`));
  return `$${shortText(name)} is not known here; ${meant === undefined ? `there are: ${all}` : `did you mean $${meant}?`}`;
}
