// What this page asks the service that it came from; it asks nobody else.

const at = (path) => new URL(path, import.meta.url).href;
const LONGEST_MS = 10_000;

export const JWKS_URI = at('../.well-known/jwks.json');

/** An answer that is an error, or none. `code` is the service's. */
export class ServiceError extends Error {
  constructor(code, message) {
    super(message);
    this.name = 'ServiceError';
    this.code = code;
  }
}

/** What the service tells of itself: issuer, audiences, policy, keys. Times are Unix seconds. */
export const description = async () => (await ask('service.json', { cache: 'no-store' })).json();

/** How many keys are published. */
export async function publishedKeys() {
  const { keys } = await (await ask(JWKS_URI, { cache: 'no-cache' })).json();
  return keys;
}

/** The signed policy in use. */
export const policyBundle = async () => (await ask('../policy/bundle', { cache: 'no-cache' })).text();

/** The access token for a token of the OpenID provider. */
export async function exchange(token) {
  const answer = await ask('../oauth/exchange', {
    method: 'POST',
    cache: 'no-store',
    headers: { authorization: `Bearer ${token}` },
  });
  return (await answer.json()).access_token;
}

async function ask(path, options) {
  const url = at(path);
  let answer;
  try {
    answer = await fetch(url, {
      credentials: 'omit',
      redirect: 'error',
      signal: AbortSignal.timeout(LONGEST_MS),
      ...options,
    });
  } catch {
    throw new ServiceError('no_answer', `the service does not answer at \`${new URL(url).pathname}\``);
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw new ServiceError(
    told.code ?? told.error ?? `status ${answer.status}`,
    told.error_description ?? `the service refused \`${new URL(url).pathname}\``,
  );
}
