import { parseArgs } from 'node:util';
import { listExamples } from './commands/examples';
import { runExpressionSuites } from './commands/expressions';
import { runKit } from './commands/kit';

const HELP = `Usage: npm run conformance -- [OPTION]

  (nothing)          run the scenarios of the conformance test kit
  --ctk DIR          the kit's folder; default ../shared/ows/ctk
  --expressions      run the cases of test/expressions/*.yaml, by language
  --examples [DIR]   list which of the specification's examples are valid here; default ../shared/ows/examples
  --help             print this

Exit codes: 0 all passed (or the folder is not there), 1 some failed, 2 bad usage. See docs/conformance.md.`;

/** Runs what the arguments ask for; resolves with the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(args);
  const { help = false, expressions = false, examples = false, ctk } = values;
  if (help) {
    console.log(HELP);
    return 0;
  }
  if (positionals.length > (examples ? 1 : 0)) throw new UsageError(`unknown argument ${positionals.join(' ')}`);
  if ([expressions, examples, ctk !== undefined].filter(Boolean).length > 1) {
    throw new UsageError('got several of --ctk, --expressions and --examples, expected one');
  }
  if (expressions) return runExpressionSuites();
  return examples ? listExamples(positionals[0]) : runKit(ctk);
}

function readArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ctk: { type: 'string' },
        expressions: { type: 'boolean' },
        examples: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

class UsageError extends Error {}

main(process.argv.slice(2)).then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (error: unknown) => {
    const isUsage = error instanceof UsageError;
    console.error(`conformance: ${error instanceof Error ? error.message : String(error)}`);
    if (isUsage) console.error(`\n${HELP}`);
    process.exitCode = isUsage ? 2 : 1;
  },
);
