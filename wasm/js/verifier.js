import * as engine from './engine.js';
import { call, json, missingKeys, seconds, VerifierError } from './errors.js';
import { fetchJwks, unlessAborted } from './fetching.js';
import { once } from './loading.js';
import { verifiedPrincipal } from './principal.js';
import { SignatureChecker } from './signature.js';

/** The package's functions over modules that `load` and `loadPortable` bring. */
export function api(load, loadPortable) {
  const ready = once(load);
  return {
    async decode(token) {
      await ready();
      const shown = call(() => engine.decode(text(token)));
      const end = shown.indexOf('\0');
      return {
        verified: false,
        header: JSON.parse(shown.slice(0, end)),
        claims: JSON.parse(shown.slice(end + 1)),
      };
    },
    async createVerifier(options) {
      await ready();
      return new Verifier(options, new SignatureChecker(loadPortable));
    },
  };
}

class Verifier {
  #inner;
  #fetcher;
  #clock;
  #signatures;
  // By issuer, the fetch that is under way.
  #fetching = new Map();

  constructor(options = {}, signatures) {
    const { fetch: fetcher, clock, cache, jwksCache, ...named } = options;
    this.#fetcher = callable(fetcher, 'fetch') ?? ((...parameters) => globalThis.fetch(...parameters));
    this.#clock = callable(clock, 'clock') ?? (() => new Date());
    this.#signatures = signatures;
    const text = json({ issuers: issuers(named), cache, jwksCache });
    const random = crypto.getRandomValues(new Uint8Array(16));
    this.#inner = call(() => new engine.Verifier(text, random, this.#now()));
  }

  async verify(token, { currentDate, signal } = {}) {
    const job = await this.#begin(token, this.#now(currentDate), signal, true);
    const { answer } = job;
    if (answer !== undefined) {
      job.free();
      return verified(answer);
    }
    let valid;
    try {
      valid = await this.#signatures.check(job.keyName, () => job.jwk, job.signature, job.message);
      signal?.throwIfAborted();
    } catch (error) {
      job.free();
      throw error;
    }
    return verified(call(() => this.#inner.finish(job, valid)));
  }

  async begin(token, { currentDate, signal } = {}) {
    const job = await this.#begin(token, this.#now(currentDate), signal, false);
    const { keyName, message, signature } = job;
    let finished = false;
    return {
      alg: keyName.slice(0, keyName.indexOf(' ')),
      jwk: JSON.parse(job.jwk),
      message,
      signature,
      finish: (valid) => {
        if (typeof valid !== 'boolean') throw new VerifierError('bad_options', '`finish` takes true or false');
        if (finished) throw new VerifierError('bad_options', 'this job was finished before: begin another');
        finished = true;
        return verified(call(() => this.#inner.finish(job, valid)));
      },
    };
  }

  exportKeys() {
    return JSON.parse(this.#inner.exportKeys(this.#now()));
  }

  #now(currentDate) {
    return currentDate === undefined ? seconds(this.#clock(), 'clock') : seconds(currentDate, 'currentDate');
  }

  async #begin(token, now, signal, remember) {
    signal?.throwIfAborted();
    const inner = this.#inner;
    const attempt = () => call(() => inner.begin(text(token), now, remember));
    // Where old keys still hold nobody waits for the new ones, or fails with them.
    this.#start(inner.poll(now));
    try {
      return attempt();
    } catch (error) {
      const missing = missingKeys(error);
      if (missing === undefined) throw error;
      const { issuer, kid } = missing;
      // A key that is new may be in the set that is published now.
      if (kid !== null) this.#start(inner.unknownKid(issuer, kid, now));
      const fetching = this.#fetching.get(issuer);
      if (fetching === undefined) throw error;
      await unlessAborted(kid === null ? fetching : fetching.catch(() => {}), signal);
    }
    return attempt();
  }

  #start(asked) {
    if (asked === undefined) return;
    for (const { id, issuer, url } of JSON.parse(asked)) {
      const fetching = this.#fetch(id, url).finally(() => {
        if (this.#fetching.get(issuer) === fetching) this.#fetching.delete(issuer);
      });
      // Whoever waits for it is told.
      fetching.catch(() => {});
      this.#fetching.set(issuer, fetching);
    }
  }

  async #fetch(id, url) {
    let answer;
    try {
      answer = await fetchJwks(this.#fetcher, url);
    } catch (error) {
      this.#inner.failed(id);
      throw error;
    }
    const { status, cacheControl, body } = answer;
    call(() => this.#inner.fetched(id, status, cacheControl, body));
    this.#signatures.forget();
  }
}

// One issuer stands in the options themselves.
function issuers({ issuers: several, ...one }) {
  if (several === undefined) return [one];
  const name = Object.keys(one).find((key) => one[key] !== undefined);
  if (name !== undefined) {
    throw new VerifierError('bad_options', `\`${name}\` beside \`issuers\`: put it into each of them`);
  }
  return several;
}

// A line with {header, principal, subjects}, then the claims.
function verified(answer) {
  const line = answer.indexOf('\n');
  const { header, principal, subjects } = JSON.parse(answer.slice(0, line));
  return {
    header,
    claims: JSON.parse(answer.slice(line + 1)),
    principal: verifiedPrincipal(principal, subjects),
  };
}

function callable(value, name) {
  if (value !== undefined && typeof value !== 'function') {
    throw new VerifierError('bad_options', `\`${name}\` is not a function`);
  }
  return value;
}

function text(token) {
  if (typeof token !== 'string') throw new VerifierError('token_malformed', 'the token is not a string');
  return token;
}
