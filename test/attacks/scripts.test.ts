import { runnable } from './attack';
import { describeSuite } from './describe-suite';
import { scriptSuite } from './scripts-suite';

describeSuite(runnable(scriptSuite));
