/**
 * Entry of a process that runs one script and nothing else; started by script-process.ts, never by hand. It imports nothing but what is in
 * this folder and QuickJS: that is all it can read.
 */
import { createEngine } from './engine';
import { READY_LINE, type ScriptAnswer, type ScriptJob } from './protocol';
import { runScript } from './run-script';

/** What the engine's memory is made with before the job is known; a job with another limit gets another. */
const DEFAULT_MEMORY_MB = Number(process.argv[2]);

async function main(): Promise<void> {
  const prepared = await createEngine(DEFAULT_MEMORY_MB);
  process.stdout.write(`${READY_LINE}\n`);
  const text = await readLine();
  // Without a job there is nothing to do: the worker is gone.
  if (text === undefined) process.exit(0);
  const job = JSON.parse(text) as ScriptJob;
  const begun = process.cpuUsage();
  const { memoryMb } = job.limits;
  const engine = memoryMb === prepared.memoryMb ? prepared : await createEngine(memoryMb);
  const end = runScript(engine, job);
  const { user, system } = process.cpuUsage(begun);
  const answer: ScriptAnswer = {
    end,
    cpuMs: (user + system) / 1_000,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1_024,
  };
  // The worker ends this process once it has the answer and has looked at what it used.
  process.stdout.write(`${JSON.stringify(answer)}\n`);
  process.stdin.on('end', () => process.exit(0));
}

function readLine(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const parts: string[] = [];
    process.stdin.setEncoding('utf8');
    process.stdin.on('data', (part: string) => {
      parts.push(part);
      if (part.endsWith('\n')) resolve(parts.join(''));
    });
    process.stdin.once('end', () => resolve(undefined));
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
