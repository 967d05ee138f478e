import { runnable } from './attack';
import { blobSuite } from './blobs-suite';
import { describeSuite } from './describe-suite';

describeSuite(runnable(blobSuite));
