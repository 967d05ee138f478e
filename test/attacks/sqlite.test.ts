import { runnable } from './attack';
import { describeSuite } from './describe-suite';
import { sqliteSuite } from './sqlite-suite';

describeSuite(runnable(sqliteSuite));
