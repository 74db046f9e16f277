// Cases that have the same outcome wherever the verifier runs. Tokens are made by `jose`, a
// library of others, so that the verifier is not compared with itself.
import { createHmac } from 'node:crypto';

import { base64url, calculateJwkThumbprint, exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';

import { ISSUER } from './service.mjs';

const ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA',
];

const now = Math.floor(Date.now() / 1000);

function claims(change = {}) {
  return {
    iss: ISSUER, sub: 'alice', aud: ['svc'], iat: now, nbf: now, exp: now + 3600,
    auth_level: 'IAL2', auth_factors: 2, auth_methods: ['pwd', 'otp'], auth_events: ['login'],
    session_id: 's', session_exp: now + 3600, roles: ['viewer'], scope: ['read'], ...change,
  };
}

async function signer(alg) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return {
    publicKey,
    jwk: { ...jwk, kid, alg, use: 'sig' },
    sign: (payload, header = {}) =>
      new SignJWT(payload).setProtectedHeader({ alg, kid, typ: 'JWT', ...header }).sign(privateKey),
  };
}

const json = (value) => base64url.encode(JSON.stringify(value));

/** `[{name, options, token, expected}]`; `expected` is a subject or an error's code. */
export async function makeCases() {
  const signers = await Promise.all(ALGORITHMS.map(signer));
  const jwks = { keys: signers.map(({ jwk }) => jwk) };
  const options = { issuer: ISSUER, audience: 'svc', jwks };
  const es256 = signers[ALGORITHMS.indexOf('ES256')];
  const rs256 = signers[0];
  const cases = [];
  const add = (name, token, expected, change = {}) =>
    cases.push({ name, token, expected, options: { ...options, ...change } });

  for (const [index, one] of signers.entries()) {
    const alg = ALGORITHMS[index];
    const token = await one.sign(claims());
    const [header, payload, signature] = token.split('.');
    add(`${alg} is accepted`, token, 'sub:alice');
    add(`${alg}, other claims`, `${header}.${json(claims({ sub: 'root' }))}.${signature}`, 'signature_invalid');
    const other = await (await signer(alg)).sign(claims(), { kid: one.jwk.kid });
    add(`${alg}, another key's signature`, `${header}.${payload}.${other.split('.')[2]}`, 'signature_invalid');
    const cut = base64url.encode(base64url.decode(signature).slice(1));
    add(`${alg}, short signature`, `${header}.${payload}.${cut}`, 'signature_invalid');
  }
  const sign = (change, header) => es256.sign(claims(change), header);
  add('no token', '', 'token_malformed');
  add('garbage', 'a.b.c', 'token_malformed');
  add('alg none', `${json({ alg: 'none' })}.${json(claims())}.`, 'alg_refused');
  const input = `${json({ alg: 'HS256', kid: rs256.jwk.kid })}.${json(claims())}`;
  const mac = createHmac('sha256', await exportSPKI(rs256.publicKey)).update(input).digest('base64url');
  add('HMAC with the public key', `${input}.${mac}`, 'alg_refused');
  add('another algorithm than the key', (await sign()).replace(/^[^.]+/, json({ alg: 'ES384', kid: es256.jwk.kid })), 'key_alg_mismatch');
  add('unknown kid', await sign({}, { kid: (await signer('ES256')).jwk.kid }), 'kid_unknown');
  add('expired', await sign({ exp: now - 61 }), 'token_expired');
  add('expired within the tolerance', await sign({ exp: now - 30 }), 'sub:alice');
  add('expired without tolerance', await sign({ exp: now - 30 }), 'token_expired', { clockTolerance: 0 });
  add('not valid yet', await sign({ nbf: now + 120 }), 'token_not_yet_valid');
  add('text as time', await sign({ nbf: undefined, session_exp: '9' }), 'claim_type');
  add('another audience', await sign({ aud: 'other' }), 'audience_mismatch');
  add('one of several audiences', await sign({ aud: 'b' }), 'sub:alice', { audience: ['a', 'b'] });
  add('another issuer', await sign({ iss: 'https://evil.example' }), 'issuer_refused');
  add('no session', await sign({ session_id: undefined }), 'claim_missing');
  add('no session, generic profile', await sign({ session_id: undefined }), 'sub:alice', { profile: 'generic' });
  add('another type', await sign({}, { typ: 'dpop+jwt' }), 'typ_refused');
  add('enough factors', await sign(), 'sub:alice', { require: { minFactors: 2, minAuthLevel: 'IAL2' } });
  add('too few factors', await sign(), 'auth_factors_too_few', { require: { minFactors: 3 } });
  add('too low a level', await sign(), 'auth_level_too_low', { require: { minAuthLevel: 'IAL3' } });
  add('too long a life', await sign(), 'lifetime_too_long', { require: { maxLifetime: 60 } });
  add('a required claim', await sign(), 'claim_missing', { require: { claims: ['email'] } });
  const { jkt, x5t } = { jkt: es256.jwk.kid, x5t: base64url.encode(new Uint8Array(32)) };
  add('bound to a certificate', await sign({ cnf: { 'x5t#S256': x5t } }), 'certificate_missing');
  add('bound to a key', await sign({ cnf: { jkt } }), 'dpop_scheme');
  add('not bound', await sign(), 'token_not_bound', { require: { senderConstrained: true } });
  const principal = { roles: [{ claim: ['realm', 'roles'], prefix: 'site-' }], groupRoles: { hpc: ['operator'] } };
  const mapped = await sign({ realm: { roles: ['site-admin', 'x'] }, groups: ['hpc'] });
  add('mapped roles', mapped, 'sub:alice roles:admin,operator', { principal });
  const { issuer, audience } = options;
  const several = [{ issuer: 'https://a.test', audience: 'a', jwks: { keys: [rs256.jwk] } }, { ...options, audience: 'svc' }];
  const alone = (issuers) => ({ issuer: undefined, audience: undefined, jwks: undefined, issuers });
  add('one of several issuers', await sign(), 'sub:alice', alone(several));
  const own = { iss: 'https://a.test', aud: 'a' };
  add('another of several issuers', await rs256.sign(claims(own)), 'sub:alice', alone(several));
  add("the other issuer's key", await sign(own), 'kid_unknown', alone(several));
  add("the other issuer's audience", await rs256.sign(claims({ ...own, aud: 'svc' })), 'audience_mismatch', alone(several));
  add('options: an issuer twice', await sign(), 'bad_options', alone([options, options]));
  add('options: no issuers', await sign(), 'bad_options', alone([]));
  add('options: beside issuers', await sign(), 'bad_options', { ...alone(several), audience });
  add('options: cache', await sign(), 'bad_options', { cache: -1 });
  add('options: keys of before', await sign(), 'bad_options', { jwksCache: { version: 1, keys: [{ issuer }] } });
  add('options: keys of another form', await sign(), 'sub:alice', { jwksCache: { version: 99, keys: 'x' } });
  add('options: no issuer', await sign(), 'bad_options', { issuer: undefined });
  add('options: no keys', await sign(), 'bad_options', { jwks: undefined });
  add('options: unknown', await sign(), 'bad_options', { audiences: 'svc' });
  add('options: tolerance', await sign(), 'bad_options', { clockTolerance: 601 });
  add('options: principal', await sign(), 'bad_options', { principal: { roles: [{ claim: [] }] } });
  add('options: private key', await sign(), 'keys_unavailable', { jwks: { keys: [{ ...es256.jwk, d: 'AA' }] } });
  return cases;
}

/** Runs in the browser too: only what a page has. */
export async function outcomes({ createVerifier }, cases) {
  const seen = [];
  for (const { options, token, expected } of cases) {
    try {
      const verifier = await createVerifier(options);
      const { principal, claims } = await verifier.verify(token);
      const roles = expected.includes(' roles:') ? ` roles:${principal.roles}` : '';
      seen.push(principal.id === claims.sub ? `sub:${principal.id}${roles}` : 'principal is not the subject');
    } catch (error) {
      seen.push(error.code ?? String(error));
    }
  }
  return seen;
}
