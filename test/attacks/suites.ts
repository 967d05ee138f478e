import { type RunnableSuite, runnable } from './attack';
import { blobSuite } from './blobs-suite';
import { httpSuite } from './http-suite';
import { identitySuite } from './identity-suite';
import { postgresSuite } from './postgres-suite';
import { scopeSuite } from './scopes-suite';
import { scriptSuite } from './scripts-suite';
import { sqliteSuite } from './sqlite-suite';

/** All suites, in the order in which `npm run attacks` runs them. */
export const SUITES: readonly RunnableSuite[] = [
  runnable(scopeSuite),
  runnable(identitySuite),
  runnable(httpSuite),
  runnable(blobSuite),
  runnable(sqliteSuite),
  runnable(postgresSuite),
  runnable(scriptSuite),
];
