import { CpuShare } from '../activities/cpu-share';
import { findExecutor } from '../activities/executors';
import { findDatabase } from '../activities/ports/configured-databases';
import type { BlockProcessPool } from '../activities/process/block-process-pool';
import { requireScriptPool } from '../activities/script/script-job';
import type { ScriptPool } from '../activities/script/script-pool';
import { type BlockRunner, inProcessRunner } from '../activities/step-activities';
import type { ResourceClass } from '../dsl/block-spec';
import { SCRIPT_BLOCK } from '../dsl/script';
import type { WorkerConfig } from './config';

/** Where the blocks of a class run: on the event loop or in processes. */
export function blockRunner(
  resources: ResourceClass,
  {
    config,
    processes,
    scripts,
  }: { readonly config: WorkerConfig; readonly processes: BlockProcessPool; readonly scripts: ScriptPool },
): BlockRunner {
  return scriptRunner(resources, scripts, resources === 'io' ? ioRunner(config, processes) : processRunner(processes));
}

/** A script gets a process of its own, and not one that others' blocks run in. */
function scriptRunner(resources: ResourceClass, scripts: ScriptPool, runOthers: BlockRunner): BlockRunner {
  const runScript: BlockRunner = async (_, args, context) => {
    requireScriptPool(resources);
    return await scripts.run(args, context);
  };
  return (blockType, ...rest) => (blockType === SCRIPT_BLOCK ? runScript : runOthers)(blockType, ...rest);
}

/** Cpu and gpu blocks never run on the event loop that polls Temporal. */
function processRunner(processes: BlockProcessPool): BlockRunner {
  return (blockType, args, context) => processes.run(blockType, args, context);
}

/** Io blocks run on the event loop, but for SQLite: its calls block, and only the end of a process stops one. */
function ioRunner({ databases }: WorkerConfig, processes: BlockProcessPool): BlockRunner {
  const inProcess = inProcessRunner(findExecutor, new CpuShare());
  return (blockType, args, context) => {
    const { database } = args;
    const isSqlite =
      blockType.startsWith('sql.') &&
      typeof database === 'string' &&
      findDatabase(databases, database, context.step.tenant)?.kind === 'sqlite';
    return isSqlite ? processes.run(blockType, args, context) : inProcess(blockType, args, context);
  };
}
