import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parse } from 'yaml';
import { createExpressionEngine } from '../../src/activities/expressions/expression-engine';
import { BLOCK_SPECS } from '../../src/dsl/block-registry';
import { isErrorCode } from '../../src/dsl/error-codes';
import { isJsonObject, type Json } from '../../src/dsl/json';
import { formatProblem } from '../../src/dsl/problems';
import { validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';
import { parseWorkerConfig } from '../../src/worker/config';
import { readConfigFile } from '../../src/worker/config-file';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { mergeOptions } from '../../src/worker/options';
import { EXPRESSION_HOST_ENTRY } from '../../src/worker/package-files';
import { parsePolicy } from '../../src/worker/policy/parse-policy';

const ROOT = join(__dirname, '..', '..');

interface Fence {
  readonly language: string;
  readonly text: string;
  /** `docs/dsl.md:12`. */
  readonly where: string;
}

/** README.md, CHANGELOG.md and all Markdown of docs/, by path from the root. */
const documents = new Map(
  ['README.md', 'CHANGELOG.md', ...markdownBelow('docs')]
    .filter((file) => existsSync(join(ROOT, file)))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
);
const fences = [...documents].flatMap(([file, text]) => fencesOf(file, text));
const yamlValues = fences
  .filter(({ language }) => language === 'yaml')
  .map((fence) => ({ ...fence, value: parse(fence.text) as Json }));

function markdownBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return markdownBelow(path);
    return path.endsWith('.md') ? [path] : [];
  });
}

function fencesOf(file: string, text: string): Fence[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1] ?? '',
    text: match[2] ?? '',
    where: `${file}:${lineOf(text, match.index)}`,
  }));
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

/** Tasks of an example as a flow of their own. */
function flowAround(tasks: Json): Json {
  return {
    document: { dsl: '1.0.3', namespace: 'docs', name: 'example', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: tasks,
  };
}

function runDocs(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts', 'docs.mjs'), ...args], {
    encoding: 'utf8',
  });
  return { status, stderr };
}

test('the generated parts are what the code says', () => {
  expect(runDocs('--check')).toEqual({ status: 0, stderr: '' });
});

test('refuses an argument that it does not know', () => {
  expect(runDocs('--chekc')).toEqual({ status: 1, stderr: expect.stringContaining('unknown argument --chekc') });
});

test('every document of a flow is valid', () => {
  const flows = yamlValues.filter(({ value }) => isJsonObject(value) && value.document !== undefined);
  expect(flows.length).toBeGreaterThan(5);
  const problems = flows.flatMap(({ text, where }) =>
    validateFlowText(text).problems.map((problem) => formatProblem(problem, where)),
  );
  expect(problems).toEqual([]);
});

test('every expression in jq is one', async () => {
  const flows = yamlValues.filter(({ value }) => isJsonObject(value) && value.document !== undefined);
  const unchecked = flows.flatMap(({ text }) => validateFlowText(text).unchecked);
  expect(unchecked.length).toBeGreaterThan(3);
  const engine = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
  try {
    expect(await engine.checkJq(unchecked)).toEqual(unchecked.map(() => null));
  } finally {
    await engine.close();
  }
});

test('every list of tasks is valid in a flow', () => {
  const lists = yamlValues.filter(({ value }) => Array.isArray(value));
  expect(lists.length).toBeGreaterThan(15);
  const problems = lists.flatMap(({ value, where }) =>
    validateFlow(flowAround(value)).problems.map((problem) => formatProblem(problem, where)),
  );
  expect(problems).toEqual([]);
});

test('every config file is accepted by the worker', () => {
  const files = yamlValues.filter(
    ({ value, text }) =>
      isJsonObject(value) &&
      value.document === undefined &&
      // Of Kubernetes.
      value.apiVersion === undefined &&
      !isPolicy(value) &&
      !isKeyFile(text),
  );
  expect(files.map(({ where }) => where.replace(/:\d+$/, ''))).toContain('docs/configuration.md');
  const folder = mkdtempSync(join(tmpdir(), 'beamline-docs-'));
  try {
    for (const { text } of files) {
      const file = join(folder, 'beamline.yaml');
      writeFileSync(file, text);
      const config = parseWorkerConfig(mergeOptions({ flags: {}, env: {}, file: readConfigFile(file) }), folder);
      expect(config.pools.length).toBeGreaterThan(0);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('every key file is valid', () => {
  const files = yamlValues.filter(({ text }) => isKeyFile(text));
  expect(files.length).toBeGreaterThan(0);
  const folder = mkdtempSync(join(tmpdir(), 'beamline-docs-'));
  try {
    const key = Buffer.alloc(32, 7).toString('base64');
    for (const name of ['acme.key', 'rest.key']) writeFileSync(join(folder, name), key);
    for (const { text } of files) {
      writeFileSync(join(folder, 'keys.yaml'), text);
      expect(readKeyRing(join(folder, 'keys.yaml'), { ACME_OLD_KEY: key }).isEmpty).toBe(false);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** They say so at their top. */
function isKeyFile(text: string): boolean {
  return text.startsWith('# keys.yaml');
}

test('every policy file is valid', () => {
  const policies = yamlValues.filter(({ value }) => isPolicy(value));
  expect(policies.map(({ where }) => where.replace(/:\d+$/, ''))).toContain('docs/policy.md');
  const problems = policies.flatMap(({ text, where }) =>
    (parsePolicy(Buffer.from(text), ROOT).problems ?? []).map((problem) => formatProblem(problem, where)),
  );
  expect(problems).toEqual([]);
});

test('every piece of JSON is well-formed', () => {
  const pieces = fences.filter(({ language }) => language === 'json');
  expect(pieces.length).toBeGreaterThan(0);
  for (const { text } of pieces) expect(() => JSON.parse(text)).not.toThrow();
});

test('every example of a block is a valid step that calls it', () => {
  for (const { call, example } of BLOCK_SPECS) {
    const tasks = parse(example) as Json;
    expect({ call, problems: validateFlow(flowAround(tasks)).problems }).toEqual({ call, problems: [] });
    expect(JSON.stringify(tasks)).toContain(`"call":"${call}"`);
  }
});

test('every flag of a beamline command exists', () => {
  const commands = fences
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.replaceAll('\\\n', ' ').split('\n'))
    .filter((line) => line.startsWith('npx beamline '));
  expect(commands.length).toBeGreaterThan(3);
  for (const line of commands) {
    const [, names = ''] = /^npx beamline ((?:approvals |dlq |policy |token |codec |runs )?[\w-]+)/.exec(line) ?? [];
    const help = helpOf(names);
    for (const [flag] of line.matchAll(/--[a-z-]+/g))
      expect({ line, isKnown: help.includes(flag) }).toEqual({ line, isKnown: true });
  }
});

test('every relative link leads to a file, and to a heading in it', () => {
  const broken = [...documents].flatMap(([file, text]) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(file, target))
      .map((target) => `${file}: ${target}`),
  );
  expect(broken).toEqual([]);
});

test('every error code that is mentioned exists', () => {
  const unknown = [...documents].flatMap(([file, text]) =>
    [...text.matchAll(/\bBLW_[A-Z0-9_]+/g)]
      .filter(([code]) => !isErrorCode(code))
      .map((match) => `${file}:${lineOf(text, match.index)} ${match[0]}`),
  );
  expect(unknown).toEqual([]);
});

test('every file of the project that is named in the architecture exists', () => {
  const text = documents.get('docs/architecture.md') ?? '';
  const named = [...text.matchAll(/`((?:src|scripts|test|temporal-dev|docs)\/[\w./-]+)`/g)].map(
    (match) => match[1] ?? '',
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

function isPolicy(value: Json): boolean {
  return isJsonObject(value) && value.tenants !== undefined;
}

const helps = new Map<string, string>();

/** What the built command line says of one command: asked once, since a process takes most of a second. */
function helpOf(names: string): string {
  const known = helps.get(names);
  if (known !== undefined) return known;
  const args = [join(ROOT, 'bin', 'beamline.js'), ...names.split(' '), '--help'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ names, status, stderr }).toEqual({ names, status: 0, stderr: '' });
  helps.set(names, stdout);
  return stdout;
}

function leadsSomewhere(file: string, target: string): boolean {
  const [path = '', fragment] = target.split('#');
  const found = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), decodeURI(path)));
  if (!existsSync(join(ROOT, found))) return false;
  return fragment === undefined || !found.endsWith('.md') || anchorsOf(found).has(fragment);
}

/** Headings as GitHub makes anchors of them, and anchors that were written out. */
function anchorsOf(file: string): Set<string> {
  const text = documents.get(file.split('\\').join('/')) ?? readFileSync(join(ROOT, file), 'utf8');
  const headings = [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/ /g, '-'),
  );
  const written = [...text.matchAll(/<a id="([^"]+)">/g)].map((match) => match[1] ?? '');
  return new Set([...headings, ...written]);
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}
