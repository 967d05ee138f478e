import { runnable } from './attack';
import { describeSuite } from './describe-suite';
import { identitySuite } from './identity-suite';

describeSuite(runnable(identitySuite));
