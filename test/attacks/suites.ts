import { type RunnableSuite, runnable } from './attack';
import { blobSuite } from './blobs-suite';
import { httpSuite } from './http-suite';
import { scopeSuite } from './scopes-suite';

/** All suites, in the order in which `npm run attacks` runs them. */
export const SUITES: readonly RunnableSuite[] = [runnable(scopeSuite), runnable(httpSuite), runnable(blobSuite)];
