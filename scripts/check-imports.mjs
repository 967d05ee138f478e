/**
 * Enforces the arrows of the architecture ("Where things live"): which folder may import which,
 * and what may not be reached from workflow code. Prints offenders as file:line and exits with 1.
 */
import { existsSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listFiles } from './build-inputs.mjs';

/** Another root may be given, for tests. */
const ROOT = process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * What each area may import of the project. `packages`, where present, are the only packages it may import, types
 * included. An area that is not listed (an entry file in src/) may import everything but temporal-dev.
 */
const RULES = {
  dsl: { areas: ['dsl'] },
  workflows: { areas: ['workflows', 'dsl'], packages: ['@temporalio/workflow', '@temporalio/common'] },
  activities: { areas: ['activities', 'dsl'] },
  worker: { areas: ['worker', 'workflows', 'activities', 'dsl', 'temporal-dev'] },
  cli: { areas: ['cli', 'worker', 'workflows', 'activities', 'dsl', 'temporal-dev'] },
  conformance: { areas: ['conformance', 'cli', 'worker', 'workflows', 'activities', 'dsl', 'temporal-dev'] },
  'temporal-dev': { areas: ['temporal-dev'], files: ['src/dsl/errors', 'src/dsl/names'], packages: ['better-sqlite3'] },
};
const OTHER_AREAS = ['cli', 'worker', 'workflows', 'activities', 'dsl'];

/** What cannot run, or is too heavy, in Temporal's workflow isolate. */
const NOT_IN_WORKFLOWS = ['yaml', 'ajv', 'ajv-formats', 'jsonata', 'jq-wasm'];

const IMPORTS = [
  // import … from 'x', import 'x', export … from 'x'; also over several lines.
  /^\s*(?:import\s+(?<clause>[^'";]*?)\s+from|import|export\s+(?<exported>(?:type\s+)?[*{][^'";]*?)\s+from)\s*['"](?<from>[^'"]+)['"]/gm,
  // import('x'), require('x'), import x = require('x')
  /^(?!\s*(?:\*|\/\/)).*?\b(?<typeOf>typeof\s+)?(?:import|require)\(\s*['"](?<call>[^'"]+)['"]/gm,
];

const files = ['src', 'temporal-dev', 'conformance'].flatMap((folder) => listFiles(join(ROOT, folder)));
const modules = new Map(files.filter((file) => file.endsWith('.ts')).map((file) => [nameOf(file), readModule(file)]));
const offences = [...[...modules.values()].flatMap(checkArrows), ...checkReachableFromWorkflows()];

for (const offence of new Set(offences)) console.error(offence);
if (offences.length > 0) {
  console.error(`check-imports: ${new Set(offences).size} import(s) against the architecture`);
  process.exit(1);
}

function readModule(file) {
  const text = readFileSync(file, 'utf8');
  const imports = IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)]).map((match) => toImport(file, text, match));
  return { name: nameOf(file), area: areaOf(nameOf(file)), imports };
}

function toImport(file, text, match) {
  const { clause, exported, from, call, typeOf } = match.groups;
  const specifier = from ?? call;
  const start = match.index + match[0].search(/\S/);
  return {
    where: `${nameOf(file)}:${text.slice(0, start).split('\n').length}`,
    specifier,
    target: specifier.startsWith('.') ? resolveName(file, specifier) : undefined,
    isTypeOnly: typeOf !== undefined || isTypeClause(clause ?? exported ?? ''),
  };
}

/** `type { A }`, or braces in which every name is marked as a type: erased when compiled. */
function isTypeClause(clause) {
  if (/^type\s+[\w*{]/.test(clause) && !/^type\s*,/.test(clause)) return true;
  const names = /^\{(.*)\}$/s.exec(clause.trim())?.[1];
  return names?.split(',').every((name) => name.trim() === '' || /^type\s+\w/.test(name.trim())) ?? false;
}

/** The project's file, from the root, that a relative import means; its own text where there is none. */
function resolveName(file, specifier) {
  const base = join(dirname(file), specifier);
  const candidates = [base, `${base}.ts`, join(base, 'index.ts'), base.replace(/\.js$/, '.ts')];
  return nameOf(candidates.find((candidate) => candidate.endsWith('.ts') && existsSync(candidate)) ?? base);
}

function nameOf(file) {
  return relative(ROOT, file).split(sep).join('/');
}

/** `dsl` of src/dsl/names.ts; `src` of a file right in src/; `temporal-dev` of what is there. */
function areaOf(name) {
  const [top, second, ...rest] = name.split('/');
  return top === 'src' && rest.length > 0 ? second : top;
}

function packageOf(specifier) {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function isBuiltin(specifier) {
  return specifier.startsWith('node:') || builtinModules.includes(packageOf(specifier));
}

function checkArrows({ area, imports }) {
  const { areas, files: single = [], packages } = RULES[area] ?? { areas: [...OTHER_AREAS, area] };
  return imports.flatMap(({ where, specifier, target }) => {
    if (target !== undefined) {
      const isAllowed = areas.includes(areaOf(target)) || single.includes(target.replace(/\.ts$/, ''));
      return isAllowed ? [] : [`${where}: ${area} may not import ${target}`];
    }
    const isAllowed = packages === undefined || isBuiltin(specifier) || packages.includes(packageOf(specifier));
    return isAllowed ? [] : [`${where}: ${area} may not import the package ${specifier}`];
  });
}

/** Follows what is left of the imports once types are erased. */
function checkReachableFromWorkflows() {
  const found = [];
  const seen = new Map(
    [...modules.values()].filter(({ area }) => area === 'workflows').map(({ name }) => [name, name]),
  );
  for (const [name, path] of seen) {
    for (const { where, specifier, target, isTypeOnly } of modules.get(name)?.imports ?? []) {
      if (isTypeOnly) continue;
      if (target !== undefined && !seen.has(target)) seen.set(target, `${path} > ${target}`);
      if (target === undefined && (isBuiltin(specifier) || NOT_IN_WORKFLOWS.includes(packageOf(specifier)))) {
        found.push(`${where}: ${specifier} cannot be used by workflow code, which reaches this file (${path})`);
      }
    }
  }
  return found;
}
