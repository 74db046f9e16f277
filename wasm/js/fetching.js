import { VerifierError } from './errors.js';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 1024 * 1024;

/** `{status, cacheControl, body}` of a JWK set's URL. */
export async function fetchJwks(fetcher, url) {
  try {
    const response = await fetcher(url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      credentials: 'omit',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    if (body.length > MAX_BYTES) throw new Error(`the answer is larger than ${MAX_BYTES} bytes`);
    const cacheControl = response.headers.get('cache-control') ?? undefined;
    return { status: response.status, cacheControl, body };
  } catch (cause) {
    throw new VerifierError('jwks_fetch', `cannot fetch \`${url}\`: ${cause?.message ?? cause}`, { cause });
  }
}

/** `promise`, unless `signal` is aborted first. What is waited for goes on: others wait too. */
export async function unlessAborted(promise, signal) {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  let abort;
  const aborted = new Promise((_, reject) => {
    abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
