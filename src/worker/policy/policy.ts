import type { Scope } from '../../activities/access/scopes';

/** A policy file, read and checked (docs/policy.md). */
export interface Policy {
  /** How tokens are verified; needed by `--auth jwt`. */
  readonly identity?: IdentityPolicy;
  /** By name. Who is not in here has no access. */
  readonly tenants: ReadonlyMap<string, TenantPolicy>;
}

/** How tokens are verified (RFC 7519, RFC 9068). */
export interface IdentityPolicy {
  /** Keys of the issuer: a JWKS file (absolute), or an https address; http on loopback only. */
  readonly jwks: { readonly file: string } | { readonly url: string };
  readonly issuer: string;
  readonly audience: string;
  /** Allowed algorithms, asymmetric ones only. */
  readonly algorithms: readonly string[];
  /** Names of claims. Defaults: `tenant`, `scope` (text with blanks, or a list), `groups`; the person is always `sub`. */
  readonly claims: { readonly tenant: string; readonly scopes: string; readonly groups: string };
  /** Tolerated difference of clocks, milliseconds. */
  readonly clockToleranceMs: number;
}

/** What one tenant may do, and how much. */
export interface TenantPolicy {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly quotas: Quotas;
  /** Share of the workers beside other tenants, 0.001 to 1000; absent: 1. */
  readonly fairnessWeight?: number;
  /** The best that its flows and steps get, and that of those that say nothing: 1 (first) to 5; absent: 3. */
  readonly priorityKey?: number;
  /** HOST[:PORT] that HTTP blocks may reach although they are not at public addresses. */
  readonly privateHosts: readonly string[];
  /** Members of groups that approvals may name: group to persons. Absent: groups come from tokens only. */
  readonly approvers?: ReadonlyMap<string, readonly string[]>;
}

/** Limits of a tenant over all workers; absent: none. Over quota is waiting, not failure. */
export interface Quotas {
  /** Steps that run at once. */
  readonly concurrentSteps?: number;
  readonly stepsPerSecond?: number;
  /** CPU time of all steps within a window. */
  readonly cpuTime?: { readonly maxMs: number; readonly windowMs: number };
  /** Heap of the process that runs one step, MiB; at most the worker's `--max-memory-mb`. */
  readonly memoryMb?: number;
  /** All blobs together. */
  readonly blobBytes?: number;
  /** Flows that are open at once. */
  readonly flows?: number;
}

/** Where the policy in force comes from. */
export interface PolicySource {
  /** Undefined: the worker has no policy, everything is allowed. */
  current(): Policy | undefined;
  close(): Promise<void>;
}
