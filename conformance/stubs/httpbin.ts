import type { StubAnswer, StubRequest } from './stub-hosts';

const CHALLENGE = { 'www-authenticate': 'Basic realm="Fake Realm"' };

/** Answers as https://httpbin.org/basic-auth/{user}/{password} does: 200 to these very credentials, 401 to all else. */
export function answerHttpbin({ method, path, headers }: StubRequest): StubAnswer {
  const [, user, password] = /^\/basic-auth\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (user === undefined || password === undefined) return { status: 404 };
  if (method !== 'GET') return { status: 405 };
  const wanted = `${decodeURIComponent(user)}:${decodeURIComponent(password)}`;
  const [scheme = '', credentials = ''] = (headers.authorization ?? '').split(' ');
  const isWanted = scheme.toLowerCase() === 'basic' && Buffer.from(credentials, 'base64').toString('utf8') === wanted;
  if (!isWanted) return { status: 401, headers: CHALLENGE };
  return { status: 200, json: { authenticated: true, user: decodeURIComponent(user) } };
}
