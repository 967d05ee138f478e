import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A temporary folder of flows and functions. */
export interface CatalogFolder {
  readonly folder: string;
  write(path: string, text: string): void;
  remove(path: string): void;
  dispose(): void;
}

/** Makes a catalog folder of files, by their paths. */
export function makeCatalogFolder(files: Readonly<Record<string, string>> = {}): CatalogFolder {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-catalog-'));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  return {
    folder,
    write,
    remove: (path) => rmSync(join(folder, path), { recursive: true, force: true }),
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The text of a flow in CEL: its header, and what stands below. */
export function flowText(name: string, body: string): string {
  const [, namespace, flow, version] = /^(.+)\/(.+):(.+)$/.exec(name) ?? [];
  return `document: { dsl: '1.0.3', namespace: ${namespace}, name: ${flow}, version: '${version}' }
evaluate: { language: cel }
${body}
`;
}
