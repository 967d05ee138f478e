import { type ParsedDocument, parseDocumentText } from '../../src/dsl/document';

/** A text that has to be well-formed. */
export function documentOf(text: string): ParsedDocument {
  const parsed = parseDocumentText(text);
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.document;
}

/** `line:column CODE message` of each problem. */
export function problemsOf(text: string): string[] {
  const parsed = parseDocumentText(text);
  if (!('problems' in parsed)) return [];
  return parsed.problems.map(({ code, message, position }) => `${position.line}:${position.column} ${code} ${message}`);
}
