import { createHash } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const UNLIMITED = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** An operator of NATS with one account, as `nsc` makes it: settings of the server, and the .creds file of a user. */
export function makeOperator(): { readonly settings: string; readonly creds: string } {
  const [operator, system, account, user] = [
    nkeys.createOperator(),
    nkeys.createAccount(),
    nkeys.createAccount(),
    nkeys.createUser(),
  ] as const;
  const systemAccount = system.getPublicKey();
  const operatorToken = token(operator, operator, 'operator', { type: 'operator', system_account: systemAccount });
  const accounts = [
    [system, token(operator, system, 'SYS', { type: 'account', limits: UNLIMITED })],
    [account, token(operator, account, 'APP', { type: 'account', limits: { ...UNLIMITED, ...JETSTREAM } })],
  ] as const;
  const userToken = token(account, user, 'worker', { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    settings: [
      `operator: ${operatorToken}`,
      `system_account: ${systemAccount}`,
      'resolver: MEMORY',
      `resolver_preload: { ${accounts.map(([key, text]) => `${key.getPublicKey()}: ${text}`).join('\n')} }`,
    ].join('\n'),
    creds: [
      '-----BEGIN NATS USER JWT-----',
      userToken,
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      seed,
      '------END USER NKEY SEED------',
      '',
    ].join('\n'),
  };
}

/** A JWT as NATS has it: signed with an nkey. */
function token(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const claims = {
    iat: Math.floor(Date.now() / 1_000),
    iss: issuer.getPublicKey(),
    name,
    sub: subject.getPublicKey(),
    nats: { ...nats, version: 2 },
  };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('base64url');
  const text = [
    { typ: 'JWT', alg: 'ed25519-nkey' },
    { jti, ...claims },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.');
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}
