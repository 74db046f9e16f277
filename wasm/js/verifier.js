import * as engine from './engine.js';

const FETCH_TIMEOUT_MS = 10_000;
const MAX_JWKS_BYTES = 1024 * 1024;

/** Why a token was refused, or could not be checked. `code` is stable. */
export class VerifierError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = 'VerifierError';
    this.code = code;
  }
}

// The key that a token named and that is not known, for errors that are about one.
const unknownKids = new WeakMap();

/** The package's functions over a module that `load` brings. */
export function api(load) {
  let loading;
  const ready = () => {
    loading ??= load().catch((cause) => {
      // The next call may have more luck.
      loading = undefined;
      throw new VerifierError('wasm_load', `the verifier module cannot be loaded: ${cause}`, { cause });
    });
    return loading;
  };
  return {
    async decode(token) {
      await ready();
      return JSON.parse(call(() => engine.decode(text(token))));
    },
    async createVerifier(options) {
      await ready();
      return createVerifier(options);
    },
  };
}

function createVerifier({ fetch: fetchOption, ...options } = {}) {
  const inner = call(() => new engine.Verifier(JSON.stringify(options), crypto.getRandomValues(new BigUint64Array(1))[0]));
  const remote = options.jwksUri !== undefined;
  const fetcher = fetchOption ?? globalThis.fetch;
  // Imported keys of the set that is held now.
  const imported = new Map();
  let fetching;

  function refresh(url) {
    const { asked } = inner;
    fetching = fetchKeys(fetcher, url)
      .then(
        ({ status, cacheControl, body }) => {
          call(() => inner.fetched(asked, status, cacheControl, body));
          imported.clear();
        },
        (cause) => {
          inner.failed(asked);
          throw new VerifierError('jwks_fetch', `cannot fetch \`${url}\`: ${cause.message ?? cause}`, { cause });
        },
      )
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  }

  async function keys(now) {
    const url = inner.poll(now);
    if (inner.hasKeys(now)) {
      // Old keys still hold: whoever asks now does not wait, and does not fail with the fetch.
      if (url !== undefined) refresh(url).catch(() => {});
      return;
    }
    if (url !== undefined) await refresh(url);
    else if (fetching) await fetching;
  }

  // A key that is new may be in the set that is published now.
  async function beginAgain(error, token, now) {
    if (error.code !== 'kid_unknown') throw error;
    const url = inner.unknownKid(unknownKids.get(error), now);
    if (url !== undefined) await refresh(url).catch(() => {});
    else if (fetching) await fetching.catch(() => {});
    return call(() => inner.begin(token, now));
  }

  return {
    async verify(token, { currentDate } = {}) {
      const date = currentDate ?? new Date();
      const now = Math.floor(date.getTime() / 1000);
      if (!Number.isFinite(now)) throw new VerifierError('bad_options', '`currentDate` is not a valid Date');
      if (remote) await keys(now);
      let job;
      try {
        job = call(() => inner.begin(text(token), now));
      } catch (error) {
        job = await beginAgain(error, token, now);
      }
      let valid;
      try {
        valid = await check(job, imported);
      } catch (error) {
        job.free();
        throw error;
      }
      const answer = call(() => job.finish(valid));
      const line = answer.indexOf('\n');
      const { header, principal } = JSON.parse(answer.slice(0, line));
      return { header, claims: JSON.parse(answer.slice(line + 1)), principal };
    },
  };
}

async function check(job, imported) {
  const name = job.keyName;
  const algorithm = name.slice(0, name.indexOf(' '));
  const parameters = PARAMETERS[algorithm];
  let key = imported.get(name);
  if (key === undefined) {
    const { kty, crv, n, e, x, y } = JSON.parse(job.jwk);
    const jwk = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
    try {
      key = await crypto.subtle.importKey('jwk', jwk, parameters, false, ['verify']);
    } catch (cause) {
      throw new VerifierError('key_unusable', `WebCrypto cannot use the token's ${algorithm} key: ${cause}`, { cause });
    }
    imported.set(name, key);
  }
  return crypto.subtle.verify(parameters, key, job.signature, job.message);
}

const rsa = (name, bits) => ({ name, hash: `SHA-${bits}`, saltLength: bits / 8 });
const ecdsa = (namedCurve, bits) => ({ name: 'ECDSA', namedCurve, hash: `SHA-${bits}` });
const PARAMETERS = {
  RS256: rsa('RSASSA-PKCS1-v1_5', 256),
  RS384: rsa('RSASSA-PKCS1-v1_5', 384),
  RS512: rsa('RSASSA-PKCS1-v1_5', 512),
  PS256: rsa('RSA-PSS', 256),
  PS384: rsa('RSA-PSS', 384),
  PS512: rsa('RSA-PSS', 512),
  ES256: ecdsa('P-256', 256),
  ES384: ecdsa('P-384', 384),
  ES512: ecdsa('P-521', 512),
  EdDSA: { name: 'Ed25519' },
};

async function fetchKeys(fetcher, url) {
  const response = await fetcher(url, {
    headers: { accept: 'application/jwk-set+json, application/json' },
    redirect: 'error',
    credentials: 'omit',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  const body = new Uint8Array(await response.arrayBuffer());
  if (body.length > MAX_JWKS_BYTES) throw new Error(`the answer is larger than ${MAX_JWKS_BYTES} bytes`);
  const cacheControl = response.headers.get('cache-control') ?? undefined;
  return { status: response.status, cacheControl, body };
}

// What the engine throws is the text of {code, message}.
function call(action) {
  try {
    return action();
  } catch (thrown) {
    if (typeof thrown !== 'string') throw thrown;
    const { code, message, kid } = JSON.parse(thrown);
    const error = new VerifierError(code, message);
    if (kid !== undefined) unknownKids.set(error, kid);
    throw error;
  }
}

function text(token) {
  if (typeof token !== 'string') throw new VerifierError('token_malformed', 'the token is not a string');
  return token;
}
