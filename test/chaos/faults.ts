import type { Fault } from './fault';
import { MEMORY_KIND, POISON_KINDS } from './poison-flows';
import { SERVICE_FAULTS } from './service-faults';
import { STORAGE_FAULTS } from './storage-faults';
import { WORKER_FAULTS } from './worker-faults';

export const FAULTS: readonly Fault[] = [
  ...WORKER_FAULTS,
  ...SERVICE_FAULTS,
  ...STORAGE_FAULTS,
  {
    name: 'out of memory in a child process',
    seconds: 20,
    async strike({ driver }) {
      await driver.run(MEMORY_KIND);
      return true;
    },
  },
  {
    name: 'poison input',
    seconds: 10,
    async strike({ driver }) {
      await Promise.all(POISON_KINDS.map((kind) => driver.run(kind)));
      return true;
    },
  },
];
