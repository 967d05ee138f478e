/** Longest summary that Temporal keeps is 200 bytes; a character may take up to 4. */
const MAX_SUMMARY_LENGTH = 100;

/** A line that fits into Temporal's UI. */
export function shortSummary(line: string): string {
  return line.length > MAX_SUMMARY_LENGTH ? `${line.slice(0, MAX_SUMMARY_LENGTH - 1)}…` : line;
}
