import type { SqlDatabase } from './ports/sql-databases';

/** Class of an HTTP answer, or that none came. */
export type HttpStatusClass = '2xx' | '3xx' | '4xx' | '5xx' | 'error';

/** Something that a block did through its ports; JSON. */
export type PortCall =
  /** Up to the head of the answer. */
  | { readonly port: 'http'; readonly method: string; readonly status: HttpStatusClass; readonly ms: number }
  | { readonly port: 'blob'; readonly operation: string; readonly isOk: boolean }
  | {
      readonly port: 'sql';
      readonly kind: SqlDatabase['kind'];
      readonly operation: string;
      readonly isOk: boolean;
      readonly ms: number;
    }
  /** `in`: read; of HTTP the body of an answer. */
  | { readonly port: 'bytes'; readonly of: 'http' | 'blob'; readonly direction: 'in' | 'out'; readonly bytes: number };

/** Is told of every call as it ends, and of bytes as they go by. Must not throw. */
export type PortObserver = (call: PortCall) => void;
