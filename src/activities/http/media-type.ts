/** How a body is to be read, by its content type. */
export type ContentKind = 'json' | 'text' | 'binary';

/** A content type taken apart (RFC 9110 section 8.3.1). */
export interface MediaType {
  readonly kind: ContentKind;
  /** As the header names it; undefined where it does not. */
  readonly charset?: string;
}

const TEXT_TYPES: ReadonlySet<string> = new Set([
  'application/xml',
  'application/x-www-form-urlencoded',
  'application/javascript',
  'application/x-javascript',
  'application/ecmascript',
  'application/yaml',
  'application/x-yaml',
]);

/** Reads a `content-type` header. No header, or one that says nothing known, is `binary`. */
export function parseMediaType(contentType: string | undefined): MediaType {
  if (contentType === undefined) return { kind: 'binary' };
  const essence = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  const charset = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i.exec(contentType);
  const label = charset?.[1] ?? charset?.[2];
  return label === undefined ? { kind: kindOf(essence) } : { kind: kindOf(essence), charset: label };
}

function kindOf(essence: string): ContentKind {
  if (essence === 'application/json' || essence === 'text/json' || essence.endsWith('+json')) return 'json';
  if (essence.startsWith('text/') || /\+(?:xml|yaml)$/.test(essence) || TEXT_TYPES.has(essence)) return 'text';
  return 'binary';
}
