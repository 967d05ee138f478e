import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { parseDocumentText } from '../../dsl/document';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { createFlowSchema } from '../../dsl/schema/flow-schema';
import { SPECIFICATION_SCHEMA } from '../../worker/package-files';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { writeOut } from '../write-out';

const FORMATS = ['json', 'yaml'];

const EXAMPLES = `
Examples:
  $ beamline schema --out flow.schema.json
  $ beamline schema --format yaml

An editor that has it proposes blocks, arguments and metadata, explains them, and marks mistakes while you write. In VS Code
(extension "YAML"), this line at the top of a flow is enough:

  # yaml-language-server: $schema=./flow.schema.json`;

interface SchemaFlags {
  readonly out?: string;
  readonly format: string;
}

/** `beamline schema` */
export const addSchema: AddCommand = (command, cli, action) => {
  command
    .description('Prints the JSON Schema of flows for editors: the specification, the blocks and the keys of metadata.')
    .option('--out <FILE>', 'write there instead of stdout')
    .option('--format <FORMAT>', FORMATS.join(' or '), 'json')
    .addHelpText('after', EXAMPLES)
    .action(action((flags: SchemaFlags) => printSchema(flags, cli)));
};

async function printSchema({ out, format }: SchemaFlags, cli: Cli): Promise<ExitCode> {
  if (!FORMATS.includes(format)) throw usageError(`--format: got "${format}", expected ${FORMATS.join(' or ')}`);
  const schema = createFlowSchema(await readSpecification());
  const text =
    format === 'json' ? `${JSON.stringify(schema, null, 2)}\n` : stringify(schema, { aliasDuplicateObjects: false });
  await writeOut(text, out, cli);
  return EXIT.done;
}

/** The specification's own schema, which comes with the package. */
async function readSpecification(): Promise<JsonObject> {
  const parsed = parseDocumentText(await readFile(SPECIFICATION_SCHEMA, 'utf8'));
  if ('problems' in parsed || !isJsonObject(parsed.document.value)) {
    throw new Error(`${SPECIFICATION_SCHEMA} is damaged; install the package again`);
  }
  return parsed.document.value;
}
