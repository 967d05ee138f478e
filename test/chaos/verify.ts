import type { ChaosFlow } from './driver';
import type { World } from './world';

/** What was wrong with a flow's effects. */
export interface FlowFindings {
  readonly flow: ChaosFlow;
  readonly lost: readonly string[];
  readonly duplicated: readonly string[];
}

export interface Verification {
  /** Effects that were found, of all kinds. */
  readonly effects: number;
  readonly findings: readonly FlowFindings[];
}

/**
 * Compares what there is with what the flows have acknowledged: an effect of a flow that ended as it should must be there, and none may
 * be there twice, whatever became of its flow.
 */
export async function verify(world: World, flows: readonly ChaosFlow[]): Promise<Verification> {
  const { sqlite, postgres } = await world.readRows();
  const http = new Map<string, number>();
  for (const { key, what } of world.ledger.lines()) if (what === 'applied') http.set(key, (http.get(key) ?? 0) + 1);
  const stores = [
    { name: 'HTTP', found: http },
    { name: 'SQLite', found: sqlite },
    { name: 'PostgreSQL', found: postgres },
  ];
  const findings: FlowFindings[] = [];
  for (const flow of flows) {
    const { expects, verdict } = flow;
    const wanted = [expects.http, expects.sqlite, expects.postgres];
    const lost: string[] = [];
    const duplicated: string[] = [];
    for (const [index, { name, found }] of stores.entries()) {
      for (const key of wanted[index] ?? []) {
        const count = found.get(key) ?? 0;
        if (count === 0 && verdict === 'ok') lost.push(`${name} ${key}`);
        if (count > 1) duplicated.push(`${name} ${key} (${count} times)`);
      }
    }
    if (lost.length + duplicated.length > 0) findings.push({ flow, lost, duplicated });
  }
  const total = (counts: Map<string, number>): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
  const blobs = flows.filter(({ verdict }) => verdict === 'ok').flatMap(({ expects }) => Object.keys(expects.blobs));
  return { effects: total(http) + total(sqlite) + total(postgres) + blobs.length, findings };
}
