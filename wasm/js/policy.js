import { call, json, seconds, VerifierError } from './errors.js';
import { fetchJwks, unlessAborted } from './fetching.js';
import { once } from './loading.js';
import * as engine from './policy_engine.js';
import { subjectsOf } from './principal.js';
import { SignatureChecker } from './signature.js';

/** The function of the entry `./policy` over modules that `load` and `loadPortable` bring. */
export function policyApi(load, loadPortable) {
  const ready = once(load);
  return {
    async loadPolicy(source, options = {}) {
      await ready();
      if (typeof source === 'string') return openBundle(source, options, new SignatureChecker(loadPortable));
      if (source?.baseline === true) return new Policy(call(() => engine.Policy.baseline()));
      const texts = json(source);
      if (texts === undefined) throw new VerifierError('bad_options', 'the policy is neither a bundle nor texts');
      return new Policy(call(() => new engine.Policy(texts)));
    },
  };
}

class Policy {
  #inner;
  // What the module knows of principals that asked before.
  #callers = new WeakMap();

  constructor(inner, bundle) {
    this.#inner = inner;
    this.version = inner.version;
    this.bundle = bundle;
  }

  can(principal, object, action) {
    return this.#inner.can(this.#caller(principal), name(object), name(action));
  }

  decide(principal, object, action) {
    return this.#inner.decide(this.#caller(principal), name(object), name(action));
  }

  explain(who, object, action) {
    return JSON.parse(this.#for(who, (caller) => this.#inner.explain(caller, name(object), name(action))));
  }

  whoCan(object, action) {
    return JSON.parse(call(() => this.#inner.whoCan(name(object), name(action))));
  }

  table(who) {
    return JSON.parse(this.#for(who, (caller) => call(() => this.#inner.table(caller))));
  }

  roleGraph(subject) {
    return JSON.parse(call(() => this.#inner.roleGraph(subject === undefined ? undefined : name(subject))));
  }

  free() {
    this.#inner.free();
  }

  #caller(principal) {
    let caller = this.#callers.get(principal);
    if (caller === undefined) {
      const subjects = JSON.stringify(subjectsOf(principal));
      caller = call(() => new engine.Caller(principal.id, subjects));
      this.#callers.set(principal, caller);
    }
    return caller;
  }

  // A text is one subject: good enough to look at a policy, not to let anybody in.
  #for(who, action) {
    if (typeof who !== 'string') return action(this.#caller(who));
    const caller = call(() => new engine.Caller(who, JSON.stringify([who])));
    try {
      return action(caller);
    } finally {
      caller.free();
    }
  }
}

async function openBundle(jws, options, signatures) {
  const { issuer, jwks, jwksUri, fetch: fetcher = globalThis.fetch, currentDate, state, signal, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new VerifierError('bad_options', `unknown option \`${unknown}\``);
  if (typeof issuer !== 'string') throw new VerifierError('bad_options', '`issuer` says who signs the bundle: it is missing');
  if ((jwks === undefined) === (jwksUri === undefined)) {
    throw new VerifierError('bad_options', 'exactly one of `jwks` and `jwksUri` is needed');
  }
  const now = seconds(currentDate ?? new Date(), 'currentDate');
  signal?.throwIfAborted();
  const set = jwks === undefined
    ? await unlessAborted(published(fetcher, jwksUri), signal)
    : new TextEncoder().encode(json(jwks));
  const bundle = call(() => new engine.Bundle(jws, issuer, set));
  let valid;
  try {
    valid = await isSigned(bundle, signatures);
    signal?.throwIfAborted();
  } catch (error) {
    bundle.free();
    throw error;
  }
  const kept = state === undefined || state === null ? undefined : json(state);
  const opened = call(() => bundle.finish(valid, now, kept));
  const { expires, ...about } = JSON.parse(opened.about);
  return new Policy(opened.policy(), Object.freeze({ ...about, expires: new Date(expires * 1000) }));
}

// One good key is enough, whatever the others are.
async function isSigned(bundle, signatures) {
  const { alg, count, message, signature } = bundle;
  let unusable;
  for (let index = 0; index < count; index += 1) {
    try {
      if (await signatures.check(`${alg} ${index}`, () => bundle.jwk(index), signature, message)) return true;
    } catch (error) {
      unusable = error;
    }
  }
  if (unusable !== undefined) throw unusable;
  return false;
}

async function published(fetcher, url) {
  const { status, body } = await fetchJwks(fetcher, url);
  if (status !== 200) throw new VerifierError('jwks_fetch', `cannot fetch \`${url}\`: it answers with status ${status}`);
  return body;
}

function name(value) {
  if (typeof value !== 'string') throw new VerifierError('bad_options', 'objects, actions and subjects are strings');
  return value;
}
