/** What the process of the ledger and the driver say to each other. */

/** How requests are answered for a while. */
export type Weather =
  /** As they should be. */
  | 'fair'
  /** The connection is reset in the middle of the answer, after the effect. */
  | 'reset'
  /** The answer is shorter than it said, after the effect. */
  | 'truncate'
  /** The answer takes two seconds. */
  | 'slow'
  /** 500, after the effect. */
  | 'broken'
  /** 503, without an effect. */
  | 'unavailable';

/** When the driver wants to be told of a request, and have it wait. */
export type Moment = 'before' | 'during' | 'after';

export type Order =
  | { readonly kind: 'weather'; readonly weather: Weather }
  /** The next request that makes an effect, or of those the next that may not be repeated: tell, and make it wait for `go`. */
  | { readonly kind: 'trap'; readonly moment: Moment; readonly isForUnsafe: boolean }
  | { readonly kind: 'go' }
  /** Requests through this gate are no longer refused. */
  | { readonly kind: 'open'; readonly name: string };

export type Report =
  | { readonly kind: 'listening'; readonly port: number }
  /** The weather has changed; so many requests met the one before. */
  | { readonly kind: 'changed'; readonly requests: number }
  /** A request stands in the trap; its connection comes from that port. */
  | { readonly kind: 'trapped'; readonly moment: Moment; readonly remotePort: number; readonly key: string };

/** A line of the ledger's file, which is synced before anything is answered. */
export interface EffectLine {
  readonly key: string;
  /** `applied`: an effect; `repeated`: one that was there, which an idempotent service does not make again. */
  readonly what: 'applied' | 'repeated';
  readonly at: number;
}
