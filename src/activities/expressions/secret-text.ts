/** What stands for a secret in a message. */
const HIDDEN = '***';

/** How jq quotes values in its messages: `string ("abc")`, the end cut off where it is long. */
const QUOTED_VALUE = /\b(string|number|object|array) \(.*?\)(?= |,|$)/g;

/**
 * A message without the values of secrets, where the expressions could read some. jq quotes values and cuts them, so that
 * a part of a secret could not be told from other text: then none of them is quoted.
 */
export function withoutSecrets(message: string, secrets: unknown): string {
  if (secrets === undefined) return message;
  const texts = [...secretTexts(secrets)].sort((left, right) => right.length - left.length);
  const unquoted = message.replace(QUOTED_VALUE, '$1');
  return texts.reduce((text, secret) => text.replaceAll(secret, HIDDEN), unquoted);
}

function* secretTexts(value: unknown): Generator<string> {
  if (typeof value === 'string' && value !== '') {
    yield value;
    // As it stands within JSON, where that is something else.
    yield JSON.stringify(value).slice(1, -1);
  } else if (typeof value === 'number') yield String(value);
  else if (typeof value === 'object' && value !== null)
    for (const item of Object.values(value)) yield* secretTexts(item);
}
