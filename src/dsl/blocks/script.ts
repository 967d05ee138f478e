import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import { SCRIPT_BLOCK, SCRIPT_POOL } from '../script';

/** `call: script.run`, and what `run: { script: … }` is planned as. */
export const scriptRun: BlockSpec = {
  call: SCRIPT_BLOCK,
  type: SCRIPT_BLOCK,
  kind: 'activity',
  summary: 'Runs JavaScript that is not trusted',
  description: `Runs a script in a sandbox and puts out what it returns. [Scripts](../scripts.md) says what they can use, what isolates them, and
how OWS's \`run.script\` (a process with arguments, standard input and output) is written.

- **Code** is the body of an \`async\` function of \`input\`, in ES2023: \`return input.total * 1.2\`. What it returns is the output,
  as JSON.stringify has it; nothing is \`null\`. It has \`console\`, and no modules, timers, files, network or processes.
- The code is what stands in the flow: \`\${ … }\` in it is JavaScript's own. Data goes in by \`input\`. Only where all of the code is one
  expression, as in \`code: \${ workflow.input.code }\`, is that evaluated.
- **Limits**: \`timeout\` of CPU time; memory of \`--script-memory-mb\`, or the tenant's quota \`memoryMb\` where that is less; 4 MiB
  of JSON for input and for result; 1 MiB for all that it prints.
- **Isolation**: each run has an engine (QuickJS in WebAssembly) and a process of its own, which ends with it; on Linux bubblewrap
  isolates that. See \`--script-isolation\`.
- A script has no effects, so that a lost attempt is made again. What it throws it would throw again: such an error is not retried.
- Scripts run in the pool \`cpu\` only: \`metadata.resources\` of the step can be nothing else, and that of the document does not count for them.
- CPU time and peak memory of the process count as the tenant's.`,
  arguments: {
    type: 'object',
    required: ['code'],
    additionalProperties: false,
    properties: {
      code: { type: 'string', minLength: 1, maxLength: 1_048_576, description: 'Body of a function of `input`' },
      input: { description: "The function's argument: any JSON; without it `null`" },
      timeout: { type: ['string', 'object'], default: 'PT5S', description: 'CPU time; at most PT5M' },
      process: {
        type: 'object',
        additionalProperties: false,
        description:
          'Runs the code as a process and not as a function: what `run.script` is made of, which is the way to write it',
        properties: {
          arguments: {
            type: 'array',
            maxItems: 1_000,
            items: { type: ['string', 'number', 'boolean'] },
            description: '`process.argv`, behind its first two',
          },
          stdin: { description: 'Standard input: text, else JSON' },
          environment: {
            type: 'object',
            additionalProperties: { type: ['string', 'number', 'boolean'] },
            description: '`process.env`',
          },
          return: {
            type: 'string',
            enum: ['stdout', 'stderr', 'code', 'all', 'none'],
            default: 'stdout',
            description: 'What the step puts out',
          },
        },
      },
    },
  },
  output: { description: 'What the function returned, or what `process.return` names' },
  resources: SCRIPT_POOL,
  startToCloseMs: 1_500_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  idempotent: true,
  errors: [
    'BLW_SCRIPT_SYNTAX',
    'BLW_SCRIPT_FAILED',
    'BLW_SCRIPT_TIMEOUT',
    'BLW_SCRIPT_MEMORY',
    'BLW_SCRIPT_OUTPUT',
    'BLW_SCRIPT_ISOLATION',
  ],
  example: `- total:
    call: script.run
    with:
      input:
        lines: [{ price: 20, count: 2 }, { price: 5, count: 1 }]
      code: |
        let total = 0;
        for (const { price, count } of input.lines) total += price * count;
        return { total, text: \`\${total} in all\` };
`,
  summaryArguments: [],
};
