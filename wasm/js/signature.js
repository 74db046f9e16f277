import { call, VerifierError } from './errors.js';

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

// More are of key sets that were replaced without a fetch.
const MAX_KEYS = 1000;

/** Checks signatures by WebCrypto, or by `loadPortable`'s module where that lacks the algorithm. */
export class SignatureChecker {
  #keys = new Map();
  #loadPortable;

  constructor(loadPortable) {
    this.#loadPortable = loadPortable;
  }

  /** Forgets the keys that were imported. */
  forget() {
    this.#keys.clear();
  }

  /**
   * Whether `signature` over `message` is that of the key `name`, which begins with the algorithm
   * and a space; `jwk` gives the key's text when it is not known yet.
   */
  async check(name, jwk, signature, message) {
    let verify = this.#keys.get(name);
    if (verify === undefined) {
      verify = await this.#prepare(name.slice(0, name.indexOf(' ')), jwk());
      if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
      this.#keys.set(name, verify);
    }
    return verify(signature, message);
  }

  async #prepare(algorithm, text) {
    const { subtle } = crypto;
    if (subtle === undefined) {
      throw new VerifierError('key_unusable', 'there is no WebCrypto here: serve the page by https');
    }
    const parameters = PARAMETERS[algorithm];
    const { kty, crv, n, e, x, y } = JSON.parse(text);
    const jwk = kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y };
    try {
      const key = await subtle.importKey('jwk', jwk, parameters, false, ['verify']);
      return (signature, message) => subtle.verify(parameters, key, signature, message);
    } catch (cause) {
      if (cause?.name !== 'NotSupportedError') {
        throw new VerifierError('key_unusable', `WebCrypto cannot use the token's ${algorithm} key: ${cause}`, { cause });
      }
    }
    const { PortableKey } = await this.#loadPortable();
    const key = call(() => new PortableKey(text));
    return (signature, message) => key.verify(algorithm, message, signature);
  }
}
