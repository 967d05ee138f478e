import { createSqlDatabases, parseDatabaseFlag } from '../../src/activities/ports/configured-databases';
import type { ErrorCode } from '../../src/dsl/error-codes';
import { FlowError } from '../../src/dsl/errors';

/** The FlowError that a function throws. */
function errorOf(work: () => unknown): FlowError {
  try {
    work();
  } catch (error) {
    if (error instanceof FlowError) return error;
    throw error;
  }
  throw new Error('expected an error');
}

describe('parseDatabaseFlag', () => {
  it.each([
    ['shop=sqlite:./shop.db', { name: 'shop', kind: 'sqlite', file: '/work/shop.db' }],
    ['shop=sqlite:/data/a=b.db', { name: 'shop', kind: 'sqlite', file: '/data/a=b.db' }],
    ['shop=sqlite:///data/shop.db', { name: 'shop', kind: 'sqlite', file: '/data/shop.db' }],
    ['acme/shop=sqlite:/a.db', { name: 'shop', tenant: 'acme', kind: 'sqlite', file: '/a.db' }],
    ['4.Acme/c=postgres://u@h/c', { name: 'c', tenant: '4.Acme', kind: 'postgres', url: 'postgres://u@h/c' }],
    ['crm=postgres://u:p@host/crm', { name: 'crm', kind: 'postgres', url: 'postgres://u:p@host/crm' }],
    [
      'c-1=postgresql://host:5433/c?sslmode=disable',
      { name: 'c-1', kind: 'postgres', url: 'postgresql://host:5433/c?sslmode=disable' },
    ],
    [
      'crm=postgres://u@/crm?host=/run/postgresql',
      { name: 'crm', kind: 'postgres', url: 'postgres://u@/crm?host=/run/postgresql' },
    ],
  ])('reads %s', (text, config) => {
    expect(parseDatabaseFlag(text, '/work')).toEqual(config);
  });

  it.each([
    ['', 'got no usable name'],
    ['shop', 'got no usable name'],
    ['=sqlite:a.db', 'got no usable name'],
    ['/shop=sqlite:a.db', 'got no usable name'],
    ['acme/=sqlite:a.db', 'got no usable name'],
    ['a/b/shop=sqlite:a.db', 'got no usable name'],
    ['../acme/shop=sqlite:a.db', 'got no usable name'],
    ['acme/crm=postgres://user:secret@host', '--database acme/crm: got a URL without a database'],
    ['1shop=sqlite:a.db', 'got no usable name'],
    ['postgres://user:secret@host/db?sslmode=require', 'got no usable name'],
    ['shop=a.db', 'got no known kind of database'],
    ['shop=mysql://user:secret@host/db', 'got no known kind of database'],
    ['shop=sqlite:', 'got no file'],
    ['shop=sqlite::memory:', 'got no file'],
    ['shop=sqlite:file:a.db?mode=memory', 'got no file'],
    ['shop=sqlite://shop.db', 'which names a host'],
    ['crm=postgres:secret', 'got a URL without a database'],
    ['crm=postgres://user:secret@host', 'got a URL without a database'],
    ['crm=postgres://user:secret@host/', 'got a URL without a database'],
    ['crm=postgres://user:secret@host:port/crm', 'got a URL that cannot be used'],
    ['crm=postgres://user:secret@host/crm?port=99999', 'got a port that is none'],
  ])('refuses %j, without repeating a password', (text, message) => {
    const error = errorOf(() => parseDatabaseFlag(text, '/work'));
    expect(error.data.code).toBe<ErrorCode>('BLW_CONFIG');
    expect(error.message).toContain(message);
    expect(error.message).toContain('expected');
    expect(JSON.stringify([error.message, error.data, String(error.cause)])).not.toContain('secret');
  });
});

describe('createSqlDatabases', () => {
  it('opens nothing before it is used', async () => {
    const databases = createSqlDatabases([
      { name: 'shop', kind: 'sqlite', file: '/proc/no/such/folder/shop.db' },
      { name: 'crm', kind: 'postgres', url: 'postgres://user:secret@127.0.0.1:1/crm' },
    ]);
    expect(databases.get('shop', 'acme').kind).toBe('sqlite');
    expect(databases.get('crm', 'acme').kind).toBe('postgres');
    await databases.close();
  });

  it.each([
    [['shop', 'crm'], 'database "billing" is not configured; there are: shop, crm'],
    [[], 'database "billing" is not configured; none is'],
  ])('names the databases there are: %j', (names, message) => {
    const databases = createSqlDatabases(names.map((name) => ({ name, kind: 'sqlite', file: `/tmp/${name}.db` })));
    const error = errorOf(() => databases.get('billing', 'acme'));
    expect(error.data.code).toBe<ErrorCode>('BLW_SQL_DATABASE_UNKNOWN');
    expect(error.message).toContain(message);
  });

  it('gives a tenant its own database before that of all, and nobody the one of another', async () => {
    const databases = createSqlDatabases([
      { name: 'shop', kind: 'sqlite', file: '/tmp/shop.db' },
      { name: 'shop', tenant: 'acme', kind: 'postgres', url: 'postgres://acme@127.0.0.1:1/shop' },
      { name: 'books', tenant: 'globex', kind: 'sqlite', file: '/tmp/books.db' },
    ]);
    expect(databases.get('shop', 'acme').kind).toBe('postgres');
    expect(databases.get('shop', 'globex').kind).toBe('sqlite');
    expect(databases.get('books', 'globex').kind).toBe('sqlite');
    for (const name of ['books', 'globex/books', 'GLOBEX/books', '../globex/books', 'acme/shop']) {
      const error = errorOf(() => databases.get(name, 'acme'));
      expect(error.data.code).toBe<ErrorCode>('BLW_SQL_DATABASE_UNKNOWN');
      expect(error.message).toContain(`database "${name}" is not configured; there are: shop; add it`);
    }
    await databases.close();
  });

  it('refuses two databases of one name', () => {
    const shop = { name: 'shop', kind: 'sqlite', file: '/tmp/shop.db' } as const;
    expect(errorOf(() => createSqlDatabases([shop, shop])).data.code).toBe<ErrorCode>('BLW_CONFIG');
    const own = { ...shop, tenant: 'acme' };
    expect(errorOf(() => createSqlDatabases([shop, own, own])).message).toContain('--database acme/shop: got the name');
  });
});
