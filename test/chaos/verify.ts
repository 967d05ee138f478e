import type { ChaosFlow } from './driver';
import { checkMessages, DRIVER_SOURCE, repeatedIds, type SentMessage } from './messages';

/** What was wrong with a flow's effects. */
export interface FlowFindings {
  readonly flow: Pick<ChaosFlow, 'id' | 'kind'>;
  readonly lost: readonly string[];
  readonly duplicated: readonly string[];
}

export interface Verification {
  /** Effects that were found, of all kinds, with messages. */
  readonly effects: number;
  readonly findings: readonly FlowFindings[];
  /** Neither of a flow nor of a fault. */
  readonly duplicated: readonly string[];
  /** What is there, or waited, and should not have. */
  readonly strange: readonly string[];
}

/** What there is in the world: how often each effect, by its key; and messages, where there is NATS. */
export interface Evidence {
  readonly http: ReadonlyMap<string, number>;
  readonly sqlite: ReadonlyMap<string, number>;
  readonly postgres: ReadonlyMap<string, number>;
  readonly messages: readonly SentMessage[] | undefined;
}

/** A flow, as far as it is compared with what there is. */
export type Verified = Pick<ChaosFlow, 'id' | 'kind' | 'expects' | 'verdict' | 'letters'>;

/**
 * Compares what there is with what the flows have acknowledged: an effect of a flow that ended as it should must be there, and none may
 * be there twice, whatever became of its flow.
 */
export function verify(evidence: Evidence, flows: readonly Verified[]): Verification {
  const { messages = [] } = evidence;
  const findings: FlowFindings[] = [];
  for (const flow of flows) {
    const rows = checkEffects(evidence, flow);
    const sent = evidence.messages === undefined ? { lost: [], duplicated: [] } : checkSent(messages, flow);
    const lost = [...rows.lost, ...sent.lost];
    const duplicated = [...rows.duplicated, ...sent.duplicated];
    if (lost.length + duplicated.length > 0) findings.push({ flow, lost, duplicated });
  }
  const total = (counts: ReadonlyMap<string, number>): number =>
    [...counts.values()].reduce((sum, count) => sum + count, 0);
  const blobs = flows.filter(({ verdict }) => verdict === 'ok').flatMap(({ expects }) => Object.keys(expects.blobs));
  const published = messages.filter(({ source }) => source !== DRIVER_SOURCE);
  return {
    effects: total(evidence.http) + total(evidence.sqlite) + total(evidence.postgres) + blobs.length + published.length,
    findings,
    duplicated: repeatedIds(messages),
    strange: flows.flatMap((flow) => [...strangeEffects(evidence, flow), ...strangeLetters(messages, flow)]),
  };
}

function checkEffects(
  { http, sqlite, postgres }: Evidence,
  { expects, verdict }: Verified,
): Pick<FlowFindings, 'lost' | 'duplicated'> {
  const lost: string[] = [];
  const duplicated: string[] = [];
  const stores = [
    { name: 'HTTP', found: http, wanted: expects.http },
    { name: 'SQLite', found: sqlite, wanted: expects.sqlite },
    { name: 'PostgreSQL', found: postgres, wanted: expects.postgres },
  ];
  for (const { name, found, wanted } of stores) {
    for (const key of wanted) {
      const count = found.get(key) ?? 0;
      if (count === 0 && verdict === 'ok') lost.push(`${name} ${key}`);
      if (count > 1) duplicated.push(`${name} ${key} (${count} times)`);
    }
  }
  return { lost, duplicated };
}

function checkSent(messages: readonly SentMessage[], { id, expects, letters, verdict }: Verified) {
  const isDone = verdict === 'ok';
  return checkMessages(messages, { id, emits: expects.emits, letters: [...letters.values()], isDone });
}

function strangeEffects({ http, sqlite, postgres }: Evidence, { expects, kind }: Verified): string[] {
  const found = [http, sqlite, postgres];
  return expects.absent
    .filter((key) => found.some((counts) => (counts.get(key) ?? 0) > 0))
    .map((key) => `${key} of ${kind.name} must not be there`);
}

/** Only what fails on purpose, and requests that may not be repeated, wait as dead letters. */
function strangeLetters(messages: readonly SentMessage[], { id, kind, expects, letters, verdict }: Verified): string[] {
  const seen = new Set([...letters.values()].map(({ letter }) => letter));
  const told = messages.flatMap(({ workflowId, step }) => (workflowId === id && step !== undefined ? [step] : []));
  const strange = [...new Set([...seen, ...told])].filter(
    (letter) => !expects.parks.includes(letter) && !expects.mayPark.includes(letter),
  );
  const missing = verdict === 'ok' ? expects.parks.filter((letter) => !seen.has(letter)) : [];
  return [
    ...strange.map((letter) => `unexpected dead letter: ${id} ${letter} (${kind.name})`),
    ...missing.map((letter) => `no dead letter waited: ${id} ${letter} (${kind.name})`),
  ];
}
