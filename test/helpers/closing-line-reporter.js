const { writeSync } = require('node:fs');

/** The line of the last run; one for the process, since jest makes a new reporter for each run (--watch). */
let line;

/**
 * A jest reporter that ends standard output with one plain line for people and scripts:
 * `12 passed, 0 failed` and, where some were, `, 3 skipped`.
 *
 * Written when the process exits, so that nothing (the summary, global teardown, warnings) follows it.
 */
class ClosingLineReporter {
  onRunStart() {
    if (line === undefined) process.once('exit', () => writeLine(line));
    // What stands where jest breaks off before it has results.
    line = '0 passed, 1 failed';
  }

  onRunComplete(_contexts, results) {
    line = closingLine(results);
  }
}

/** The line for jest's aggregated results. What fails without a failed test (a file that cannot run) counts as one. */
function closingLine(results) {
  const broken = results.testResults.filter((file) => file.failureMessage && file.numFailingTests === 0).length;
  const isCutShort = results.wasInterrupted || results.runExecError !== undefined || results.snapshot?.failure === true;
  const failed = Math.max(results.numFailedTests + broken, isCutShort ? 1 : 0);
  const skipped = results.numPendingTests + results.numTodoTests;
  const counts = [`${results.numPassedTests} passed`, `${failed} failed`];
  if (skipped > 0) counts.push(`${skipped} skipped`);
  return counts.join(', ');
}

/** Synchronous and whole: what is asked of a stream in an exit handler may be lost on a pipe. */
function writeLine(text) {
  let rest = Buffer.from(`${text}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      // A full pipe that does not block: its reader is slow, so ask again.
      if (error.code !== 'EAGAIN') return;
    }
  }
}

module.exports = ClosingLineReporter;
