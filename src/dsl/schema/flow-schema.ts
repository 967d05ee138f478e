import { EXPRESSION_LANGUAGES } from '../expressions/language';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { UNSUPPORTED_PROCESSES } from '../validation/check-run';
import { RETURN_KINDS, SCRIPT_LANGUAGE } from '../validation/check-script';
import { BASE_KEYS, TASK_KINDS } from '../validation/check-task';
import { callDefinitions, callTaskSchema } from './call-schema';
import { documentMetadataSchema, stepMetadataSchema } from './metadata-schema';
import { ownDefinitions } from './own-definitions';
import { type Definitions, plain, plainDefinitions } from './ows-definitions';
import { closed, LITERAL_DURATION, ref, refused, text, when } from './value-schemas';

/**
 * JSON Schema (draft 2020-12) of a flow, for editors: the specification's own schema (`specification`, its document as data)
 * joined with the arguments of the blocks and the keys of `metadata`. It accepts what the validator accepts, and says of the
 * commonest mistakes where they are; what only the whole document shows (names, expressions) is left to the validator.
 */
export function createFlowSchema(specification: JsonObject): JsonObject {
  const own = ownDefinitions();
  const definitions = { ...(specification.$defs as Definitions), ...own };
  const known: Definitions = { ...plainDefinitions(definitions), ...own };
  const base = propertiesOf(known.taskBase);
  const all: JsonObject = { ...known, ...tasks(known, base), ...callDefinitions(), ...metadata() };
  const properties = rootProperties(propertiesOf(plain(specification, known)));
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $comment: `Joined by beamline-worker from the schema of the Open Workflow Specification (${String(specification.$id)}, Apache License 2.0) and the specs of its blocks.`,
    description: 'A flow of the Open Workflow Specification as Beamline Worker runs it',
    ...closed(properties, ['document', 'do']),
    $defs: reachable(all, properties),
  };
}

function rootProperties(root: JsonObject): JsonObject {
  const { document, use, schedule, evaluate } = root as { [name: string]: JsonObject };
  return {
    ...root,
    document: change(document, {
      dsl: { pattern: '^1\\.0\\.\\d', patternErrorMessage: "Expected '1.0.x', the version of the specification" },
      metadata: ref('documentMetadata'),
    }),
    use: change(use, {
      authentications: { additionalProperties: ref('reusableAuthentication') },
      extensions: refused('use.extensions'),
    }),
    schedule: change(schedule, { every: LITERAL_DURATION, after: LITERAL_DURATION }),
    evaluate: change(evaluate, {
      language: { enum: [...EXPRESSION_LANGUAGES], default: 'jq' },
      mode: { enum: ['strict'] },
    }),
  };
}

/** An object's schema with some of its properties changed; their descriptions stay. */
function change(schema: JsonObject | undefined, changes: { [name: string]: JsonObject }): JsonObject {
  const properties = propertiesOf(schema);
  const changed = Object.entries(changes).map(([name, { description, ...keywords }]) => {
    const own = properties[name];
    if (!isJsonObject(own)) throw new Error(`the specification's schema has no property ${name} where it is expected`);
    const said = own.description ?? description;
    const kept = keywords.$ref === undefined && keywords.not === undefined ? own : {};
    return [name, { ...kept, ...keywords, ...(description === undefined ? { description: said } : { description }) }];
  });
  return { ...schema, properties: { ...properties, ...Object.fromEntries(changed) } };
}

function propertiesOf(schema: Json | undefined): JsonObject {
  if (!isJsonObject(schema) || !isJsonObject(schema.properties)) {
    throw new Error("the specification's schema has no properties where they are expected");
  }
  return schema.properties;
}

function metadata(): JsonObject {
  return {
    documentMetadata: documentMetadataSchema(),
    callMetadata: stepMetadataSchema('call'),
    forMetadata: stepMetadataSchema('for'),
    otherMetadata: stepMetadataSchema('other'),
  };
}

/** Each kind of task, and the task itself, which is the kind that its keys say. */
function tasks(known: Definitions, base: JsonObject): JsonObject {
  const kinds = Object.keys(TASK_KINDS);
  const ofKind = (kind: string): JsonObject => {
    if (kind === 'call') return callTaskSchema({ ...base, metadata: { type: 'object' } });
    const schema = known[`${kind}Task`];
    const properties = propertiesOf(schema);
    const own = kind === 'run' ? { run: RUN } : kind === 'for' ? { for: loop(properties.for) } : {};
    const event = kind === 'emit' ? { emit: emission(properties.emit) } : {};
    const hints = { metadata: ref(METADATA_OF[kind] ?? 'otherMetadata') };
    return { ...schema, properties: { ...properties, ...own, ...event, ...hints } };
  };
  const schemas = Object.fromEntries(kinds.map((kind) => [`${kind}Task`, ofKind(kind)]));
  return { ...schemas, task: taskSchema(schemas, base), taskList: TASK_LIST };
}

function taskSchema(schemas: Definitions, base: JsonObject): JsonObject {
  const kinds = Object.keys(TASK_KINDS);
  // Proposed by editors before the kind is known; of a task's kind, its own schema says more.
  const keys = [
    ...kinds.map((kind) => [kind, { description: String(schemas[`${kind}Task`]?.description) }]),
    ...BASE_KEYS.map((key) => [key, { description: descriptionOf(base[key]) }]),
  ];
  return {
    type: 'object',
    description: 'A step: one kind of task, and what every task may have',
    properties: Object.fromEntries(keys),
    allOf: kinds.map((kind) => when(isKind(kind), ref(`${kind}Task`))),
    anyOf: kinds.map((kind) => ({ required: [kind] })),
  };
}

/** A loop has `do` as well. */
function isKind(kind: string): JsonObject {
  return kind === 'do' ? { required: ['do'], properties: { for: false } } : { required: [kind] };
}

function descriptionOf(schema: Json | undefined): string {
  return isJsonObject(schema) && typeof schema.description === 'string' ? schema.description : 'Hints for the worker';
}

const TASK_LIST: JsonObject = {
  description: 'Steps, one after the other: each is `- name:` with the step below it',
  type: 'array',
  minItems: 1,
  items: {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    propertyNames: { minLength: 1, maxLength: 128 },
    additionalProperties: ref('task'),
  },
};

/** Items of any kind, where the specification has objects only. */
function loop(schema: Json | undefined): JsonObject {
  const changed = change(schema as JsonObject, { in: {} });
  delete (propertiesOf(changed).in as JsonObject).items;
  return changed;
}

/** An event has nothing beside its attributes. */
function emission(schema: Json | undefined): JsonObject {
  return change(schema as JsonObject, { event: { additionalProperties: false, required: ['with'] } });
}

/** A script has the metadata of a call; a flow that is run has less, which validation says. */
const METADATA_OF: Readonly<Record<string, string>> = { for: 'forMetadata', run: 'callMetadata' };

/** Of the specification's processes flows and scripts. */
const RUN: JsonObject = {
  description: 'Runs another flow of the catalog as a child workflow, or a script',
  ...closed({
    workflow: {
      description: 'The flow',
      ...closed(
        {
          namespace: text('Namespace of the flow'),
          name: text('Name of the flow'),
          version: { ...text('A semantic version, or latest'), default: 'latest' },
          input: { description: 'Its input; may hold expressions' },
        },
        ['namespace', 'name', 'version'],
      ),
    },
    script: {
      description: 'JavaScript that is not trusted, run as a process',
      ...closed(
        {
          language: { type: 'string', enum: [SCRIPT_LANGUAGE], description: 'js' },
          code: text('A module; it can import node:fs (readFileSync of standard input) and node:process'),
          stdin: { description: 'Standard input; may be an expression' },
          arguments: {
            type: ['array', 'string'],
            description: 'process.argv, behind its first two; may hold expressions',
          },
          environment: { type: ['object', 'string'], description: 'process.env; may hold expressions' },
          source: refused('run.script.source; write the code under code'),
        },
        ['language', 'code'],
      ),
    },
    await: { type: 'boolean', default: true, description: 'Wait for its end; of a script always' },
    return: { type: 'string', enum: RETURN_KINDS, default: 'stdout', description: 'What a script puts out' },
    ...Object.fromEntries(
      Object.entries(UNSUPPORTED_PROCESSES).map(([name, instead]) => [name, refused(`run.${name}; ${instead}`)]),
    ),
  }),
  anyOf: [{ required: ['workflow'] }, { required: ['script'] }],
  ...when({ required: ['workflow'] }, { properties: { return: refused('run.return, which is for processes') } }),
};

/** The definitions that are referred to, by the root or by each other, in the order of their names. */
function reachable(definitions: JsonObject, root: Json): JsonObject {
  const found = new Set<string>();
  const visit = (value: Json): void => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/"#\/\$defs\/(\w+)"/g)) {
      if (found.has(name)) continue;
      found.add(name);
      visit(definitions[name] ?? null);
    }
  };
  visit(root);
  return Object.fromEntries([...found].sort().map((name) => [name, definitions[name] ?? {}]));
}
