/** A version as Semantic Versioning 2.0.0 writes it; OWS asks for one in `document.version`. */
export const SEMANTIC_VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/** True for `1.0.0-rc.1`, false for `1.0.0` and for text that is no version. */
export function isPreRelease(version: string): boolean {
  return SEMANTIC_VERSION.exec(version)?.[4] !== undefined;
}

/**
 * Orders versions by precedence (semver.org, 11), the lower one first. Those that differ in build metadata only have the
 * same precedence; they are ordered as text, so that the highest of a list is always the same one.
 */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [SEMANTIC_VERSION.exec(left), SEMANTIC_VERSION.exec(right)];
  if (a === null || b === null) return compareText(left, right);
  for (const part of [1, 2, 3]) {
    const order = compareNumbers(a[part] ?? '', b[part] ?? '');
    if (order !== 0) return order;
  }
  return comparePreReleases(a[4], b[4]) || compareText(left, right);
}

/** A release comes after its pre-releases. */
function comparePreReleases(left: string | undefined, right: string | undefined): number {
  if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
  const [a, b] = [left.split('.'), right.split('.')];
  for (const [index, identifier] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers come before words. */
function compareIdentifiers(left: string, right: string): number {
  const [isNumber, isOtherNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
  if (isNumber && isOtherNumber) return compareNumbers(left, right);
  return Number(isOtherNumber) - Number(isNumber) || compareText(left, right);
}

/** Digits without leading zeros, of any length: the longer one is the larger one. */
function compareNumbers(left: string, right: string): number {
  return left.length - right.length || compareText(left, right);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
