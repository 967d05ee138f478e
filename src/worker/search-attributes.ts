import { temporal } from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { flowError } from '../dsl/errors';
import { SEARCH_ATTRIBUTES } from '../dsl/names';

const { INDEXED_VALUE_TYPE_KEYWORD } = temporal.api.enums.v1.IndexedValueType;

/**
 * Makes sure that the namespace has the project's search attributes: a flow that sets an unknown one would never get on.
 * Adds what is missing where the server lets us; else throws BLW_CONFIG with the commands that a person can run.
 */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const names = Object.values(SEARCH_ATTRIBUTES);
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = names.filter((name) => customAttributes[name] === undefined);
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD])),
    });
  } catch (cause) {
    const commands = missing.map(
      (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`,
    );
    throw flowError(
      'BLW_CONFIG',
      `the namespace "${namespace}" lacks search attributes and they cannot be added from here; run:\n${commands.join('\n')}`,
      { cause },
    );
  }
}
