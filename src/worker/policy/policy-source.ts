import { setTimeout as delay } from 'node:timers/promises';
import { type FlowError, flowError, messageOf } from '../../dsl/errors';
import type { Policy, PolicySource } from './policy';
import { comparePolicies, type PolicyChange } from './policy-change';
import { type FileLook, lookAt, type PolicyReading, readPolicyFile } from './policy-file';

/** How often the file is looked at. No watch: that misses files that are renamed into place, or mounted. */
const POLL_MS = 1_000;

/** How long a file must have been left alone before it is read: somebody may be writing it. */
const SETTLE_MS = 500;

/** How often a worker that starts looks again at a file that is being written. */
const MAX_LOOKS = 20;

/** A policy that has come into force. */
export interface PolicyNews {
  /** Of the file's contents. */
  readonly digest: string;
  readonly policy: Policy;
  /** Against the policy before; absent: it is the first. All empty where only comments changed, or a broken file was mended. */
  readonly change?: PolicyChange;
}

/** Who is told what becomes of a policy file. */
export interface PolicyEvents {
  onChange(news: PolicyNews): void;
  /** The file is broken, missing or unreadable, and the policy before stays in force. Once for the same contents or reason. */
  onError(error: FlowError): void;
}

/** Of a worker that was given no policy file. */
export const NO_POLICY: PolicySource = { current: () => undefined, close: async () => undefined };

/**
 * Reads a policy file now and whenever it changes; about a second and a half later the new policy is in force, all at once.
 * Throws BLW_POLICY_INVALID where there is no valid policy at the start. What keeps changing is not read.
 */
export async function createPolicySource(
  file: string,
  events: PolicyEvents,
  { pollMs = POLL_MS, settleMs = SETTLE_MS }: { readonly pollMs?: number; readonly settleMs?: number } = {},
): Promise<PolicySource> {
  const { look, reading } = await readAtStart(file, settleMs);
  if (reading.policy === undefined) throw reading.error;
  events.onChange({ digest: reading.key, policy: reading.policy });
  return new PolicyWatch({ file, events, pollMs, settleMs }, { mark: look.mark, ...reading });
}

/** A file that has just been written is looked at twice, since a worker and its policy are often installed together. */
async function readAtStart(file: string, settleMs: number): Promise<{ look: FileLook; reading: PolicyReading }> {
  for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
    const look = await lookAt(file);
    const { changedAtMs = 0 } = look;
    if (Date.now() - changedAtMs < settleMs) await delay(settleMs);
    const reading = await readPolicyFile(file, look);
    if ((await lookAt(file)).mark === look.mark) return { look, reading };
  }
  throw flowError('BLW_POLICY_INVALID', `${file}: is written all the time, expected a file that stays as it is`);
}

interface WatchOptions {
  readonly file: string;
  readonly events: PolicyEvents;
  readonly pollMs: number;
  readonly settleMs: number;
}

class PolicyWatch implements PolicySource {
  readonly #options: WatchOptions;
  readonly #closing = new AbortController();
  readonly #watching: Promise<void>;
  #policy: Policy;
  /** Of the contents in force. */
  #digest: string;
  /** Of the file as it was last read; undefined: it could not be read then, which may pass. */
  #mark: string | undefined;
  /** What was reported last: the key of contents that are not in force. */
  #failed: string | undefined;

  constructor(options: WatchOptions, { mark, key, policy }: { mark: string; key: string; policy: Policy }) {
    this.#options = options;
    this.#policy = policy;
    this.#digest = key;
    this.#mark = mark;
    this.#watching = this.#watch();
  }

  current(): Policy {
    return this.#policy;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
  }

  async #watch(): Promise<void> {
    while (await this.#pause(this.#options.pollMs)) {
      const reading = await this.#readChanged();
      if (reading !== undefined && !this.#closing.signal.aborted) this.#take(reading);
    }
  }

  /** The file, where it has changed since it was last read, and nobody is writing it. */
  async #readChanged(): Promise<PolicyReading | undefined> {
    const { file, settleMs } = this.#options;
    try {
      const look = await lookAt(file);
      if (look.mark === this.#mark || !(await this.#pause(settleMs))) return undefined;
      const reading = await readPolicyFile(file, look);
      if ((await lookAt(file)).mark !== look.mark) return undefined;
      this.#mark = reading.isRead ? look.mark : undefined;
      return reading;
    } catch (cause) {
      // Nobody expects it; a worker that serves a valid policy goes on all the same.
      const reason = messageOf(cause);
      const detail = `${file}: could not be read: ${reason}`;
      return { key: reason, isRead: false, error: flowError('BLW_POLICY_INVALID', detail, { cause }) };
    }
  }

  #take({ key, policy, error }: PolicyReading): void {
    const { events } = this.#options;
    if (policy === undefined) {
      if (key !== this.#failed) events.onError(error);
      this.#failed = key;
      return;
    }
    const isNew = key !== this.#digest || this.#failed !== undefined;
    const change = comparePolicies(this.#policy, policy);
    this.#policy = policy;
    this.#digest = key;
    this.#failed = undefined;
    if (isNew) events.onChange({ digest: key, policy, change });
  }

  /** False where the source was closed meanwhile. Keeps no process alive. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#closing;
    try {
      await delay(ms, undefined, { ref: false, signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return !signal.aborted;
  }
}
