import type { Isolation, IsolationMode } from '../activities/script/isolation';
import type { Logger } from './logger';

/** What isolates scripts is for operators to know: a warning where it is less than it could be and nobody has said that it need not be more. */
export function tellIsolation(isolation: Isolation, mode: IsolationMode, logger: Logger): void {
  switch (isolation.kind) {
    case 'bubblewrap':
      logger.log('info', 'scripts are isolated by the system', { program: isolation.program });
      return;
    case 'missing':
      logger.log('warn', 'scripts are refused: their isolation is required and missing', { reason: isolation.why });
      return;
    case 'none':
      logger.log(mode === 'off' ? 'info' : 'warn', 'scripts run without isolation by the system', {
        reason: isolation.why,
      });
  }
}
