import { runnable } from './attack';
import { describeSuite } from './describe-suite';
import { postgresSuite } from './postgres-suite';

describeSuite(runnable(postgresSuite));
