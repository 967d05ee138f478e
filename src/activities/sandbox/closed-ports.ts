import type { OpenPorts } from '../access/scoped-ports';
import { notRetryable } from '../block-failure';

/** The world of the sandbox: there is none. Whatever asks for it is a defect, and fails. */
export const CLOSED_PORTS: OpenPorts = {
  http: { reaching: () => ({ send: closed, close: nothing }), close: nothing },
  blobs: {
    put: closed,
    takePart: closed,
    stat: closed,
    read: closed,
    list: closed,
    delete: closed,
    sweep: closed,
  },
  databases: {
    get: () => {
      throw refusal();
    },
    close: nothing,
  },
};

async function closed(): Promise<never> {
  throw refusal();
}

async function nothing(): Promise<void> {}

function refusal(): Error {
  return notRetryable('BLW_BLOCK_FAILED', 'the sandbox has no ports: nothing outside of it can be reached');
}
