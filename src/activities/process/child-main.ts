/** Entry of the child processes in which blocks run; started by the pool (block-process-pool.ts), never by hand. */
import { findExecutor } from '../executors';
import { createChildPorts } from './child-ports';
import { serveBlocks } from './child-server';

serveBlocks({ findExecutor, createPorts: createChildPorts });
