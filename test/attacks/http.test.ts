import { runnable } from './attack';
import { describeSuite } from './describe-suite';
import { httpSuite } from './http-suite';

describeSuite(runnable(httpSuite));
