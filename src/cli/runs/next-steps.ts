import { formatDuration } from '../../dsl/durations';
import type { WaitingApproval } from '../approval-list';
import type { FoundLetter } from '../dead-letter-list';
import { type CommandParts, TOKEN_FLAGS } from '../dead-letter-view';
import { printable, shellWord } from '../output';
import type { RunReport } from './run-report';
import { isOpen } from './run-status';

/** Approvals and dead letters for each of which there are commands. */
const MAX_EACH = 5;

/** What a person can do now, as commands to be copied, each below a line that says what it is for. */
export function nextSteps(report: RunReport, parts: CommandParts, now: number): string[] {
  const { workflowId, status, approvals, letters } = report;
  const command = (words: string) => `${parts.beamline} ${words}${parts.connection}`;
  const id = shellWord(workflowId);
  const waiting = [
    ...approvals.slice(0, MAX_EACH).flatMap((approval) => approvalLines(approval, command, now)),
    ...more(approvals.length, 'approvals', command('approvals list')),
    ...letters.slice(0, MAX_EACH).flatMap((letter) => letterLines(letter, command)),
    ...more(letters.length, 'dead letters', command(`dlq show ${id}`)),
  ];
  if (isOpen(status)) {
    return [
      ...waiting,
      '# Follow it, or end it in good order:',
      command(`runs show ${id} --follow`),
      command(`runs cancel ${id}`),
    ];
  }
  if (status !== 'Failed') return [];
  return ['# Let it go on from the step that failed:', command(`redrive ${id}`)];
}

function approvalLines(
  { id, since, state }: WaitingApproval,
  command: (words: string) => string,
  now: number,
): string[] {
  const title = state === undefined ? '' : ` "${printable(state.title)}"`;
  const age = formatDuration(Math.max(0, now - since.getTime()));
  const who = state?.needsToken === true ? TOKEN_FLAGS : ' --by NAME';
  return [
    `# The approval${title} has waited for ${age}:`,
    command(`approvals show ${shellWord(id)}`),
    command(`approvals approve ${shellWord(id)}${who}`),
  ];
}

function letterLines({ flow, letter }: FoundLetter, command: (words: string) => string): string[] {
  if (letter === undefined) return [command(`dlq show ${shellWord(flow.id)}`)];
  const step = `${shellWord(flow.id)} ${shellWord(letter.id)}`;
  return [`# ${printable(letter.id)} failed for good; see why, and what can be done:`, command(`dlq show ${step}`)];
}

function more(count: number, what: string, command: string): string[] {
  return count > MAX_EACH ? [`# ${count - MAX_EACH} more ${what}:`, command] : [];
}
