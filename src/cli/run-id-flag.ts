import { shortText } from '../dsl/problems';
import { usageError } from './command-error';

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** Throws BLW_USAGE where `--run-id` is no run id, of which Temporal says nothing better than that there is no such flow. */
export function checkRunId(runId: string | undefined): void {
  if (runId === undefined || UUID.test(runId)) return;
  const got = runId.trim() === '' ? 'an empty text' : JSON.stringify(shortText(runId, 60));
  throw usageError(`--run-id: got ${got}, expected a UUID, the run id that \`beamline runs list --json\` shows`);
}
