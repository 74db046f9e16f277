// What the verifier does beyond saying yes and no: it remembers, gives keys on, is told the time,
// lets others check signatures and its callers leave.
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';

import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';

import { inNode, launch, openPage, policyInNode, serve } from './pages.mjs';

const ISSUER = 'https://issuer.test';
const JWKS_URI = 'https://keys.test/jwks';
const START = Math.floor(Date.now() / 1000);

const at = (seconds) => new Date((START + seconds) * 1000);

async function signer(alg) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  return {
    jwk: { ...jwk, kid, alg },
    sign: (change = {}) => new SignJWT({
      iss: ISSUER, aud: 'svc', sub: 'alice', iat: START, nbf: START, exp: START + 600, roles: ['viewer'], ...change,
    }).setProtectedHeader({ alg, kid }).sign(privateKey),
  };
}

let createVerifier;
let decode;
let key;
let options;
let token;
let browser;
let pages;

before(async () => {
  ({ createVerifier, decode } = await inNode());
  pages = await serve();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  pages?.close();
});

beforeEach(async () => {
  key = await signer('ES256');
  token = await key.sign();
  options = { issuer: ISSUER, audience: 'svc', profile: 'generic', jwks: { keys: [key.jwk] } };
});

// A publisher that counts how often it is asked.
function publisher(keys) {
  const own = { asked: 0, keys };
  own.fetch = async () => {
    own.asked += 1;
    return new Response(JSON.stringify({ keys: own.keys }));
  };
  return own;
}

const remote = (own, more = {}) => ({
  ...options, jwks: undefined, jwksUri: JWKS_URI, fetch: own.fetch, clock: () => at(0), ...more,
});

test('a token that was verified is not checked again, until it ends', async (t) => {
  const checks = t.mock.method(webcrypto.subtle, 'verify');
  const verifier = await createVerifier({ ...options, clock: () => at(0) });
  const [first, second] = [await verifier.verify(token), await verifier.verify(token)];
  assert.equal(checks.mock.callCount(), 1);
  assert.deepEqual(first, second);
  first.claims.sub = 'changed';
  assert.equal((await verifier.verify(token)).claims.sub, 'alice');
  await assert.rejects(verifier.verify(token, { currentDate: at(-61) }), { code: 'token_not_yet_valid' });
  await assert.rejects(verifier.verify(token, { currentDate: at(660) }), { code: 'token_expired' });
  // A refusal is remembered too.
  const forged = `${token.slice(0, -8)}AAAAAAAA`;
  const before = checks.mock.callCount();
  for (let time = 0; time < 3; time += 1) {
    await assert.rejects(verifier.verify(forged), { code: 'signature_invalid' });
  }
  assert.equal(checks.mock.callCount(), before + 1);
});

test('what a withdrawn key signed is forgotten', async () => {
  const own = publisher([key.jwk]);
  const verifier = await createVerifier(remote(own));
  const long = await key.sign({ exp: START + 9000 });
  await verifier.verify(long, { currentDate: at(0) });
  own.keys = [(await signer('ES256')).jwk];
  // Old by now: this call asks for the keys, the one after it has them.
  await verifier.verify(long, { currentDate: at(700) });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await assert.rejects(verifier.verify(long, { currentDate: at(701) }), { code: 'kid_unknown' });
});

test('the memory can be turned off', async (t) => {
  const checks = t.mock.method(webcrypto.subtle, 'verify');
  const verifier = await createVerifier({ ...options, cache: 0 });
  await verifier.verify(token);
  await verifier.verify(token);
  assert.equal(checks.mock.callCount(), 2);
});

test('keys are given on, and age as they did', async () => {
  const own = publisher([key.jwk]);
  const first = await createVerifier(remote(own));
  assert.deepEqual(first.exportKeys().keys, []);
  await first.verify(token);
  const jwksCache = JSON.parse(JSON.stringify(first.exportKeys()));
  const nobody = { fetch: () => Promise.reject(new Error('offline')), jwksCache };
  const second = await createVerifier(remote(own, nobody));
  assert.equal((await second.verify(token)).principal.id, 'alice');
  assert.equal(own.asked, 1);
  const long = await key.sign({ exp: START + 9000 });
  const old = await createVerifier(remote(own, { ...nobody, clock: () => at(3600) }));
  await assert.rejects(old.verify(long), { code: 'jwks_fetch' });
  const fromTheFuture = await createVerifier(remote(own, { ...nobody, clock: () => at(-10) }));
  await assert.rejects(fromTheFuture.verify(long), { code: 'jwks_fetch' });
  const elsewhere = await createVerifier({ ...remote(own, nobody), jwksUri: 'https://other.test/jwks' });
  await assert.rejects(elsewhere.verify(token), { code: 'jwks_fetch' });
});

test('the clock is the one that is given', async () => {
  const verifier = await createVerifier({ ...options, clock: () => at(661) });
  await assert.rejects(verifier.verify(token), { code: 'token_expired' });
  await verifier.verify(token, { currentDate: at(0) });
  for (const clock of [() => 7, () => new Date(NaN), 7]) {
    await assert.rejects(createVerifier({ ...options, clock }), { code: 'bad_options' });
  }
  await assert.rejects(verifier.verify(token, { currentDate: new Date(NaN) }), { code: 'bad_options' });
});

test('others may check the signature', async () => {
  const verifier = await createVerifier({ ...options, cache: 10 });
  const job = await verifier.begin(token);
  const { kty, crv, x, y } = job.jwk;
  const parameters = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const imported = await webcrypto.subtle.importKey('jwk', { kty, crv, x, y }, parameters, false, ['verify']);
  const valid = await webcrypto.subtle.verify(parameters, imported, job.signature, job.message);
  assert.deepEqual([job.alg, valid], ['ES256', true]);
  assert.throws(() => job.finish('yes'), { code: 'bad_options' });
  assert.equal(job.finish(valid).principal.id, 'alice');
  assert.throws(() => job.finish(valid), { code: 'bad_options' });
  const forged = await verifier.begin(token);
  assert.throws(() => forged.finish(false), { code: 'signature_invalid' });
  // Such an answer is nobody else's.
  assert.equal((await verifier.verify(token)).principal.id, 'alice');
  await assert.rejects(verifier.begin('a.b.c'), { code: 'token_malformed' });
});

test('a caller that leaves does not take the keys from the others', async () => {
  let answer;
  const slow = new Promise((resolve) => {
    answer = () => resolve(new Response(JSON.stringify({ keys: [key.jwk] })));
  });
  const verifier = await createVerifier(remote({ fetch: () => slow }));
  const controller = new AbortController();
  const leaves = verifier.verify(token, { signal: controller.signal });
  const stays = verifier.verify(token);
  const reason = new Error('the page is gone');
  controller.abort(reason);
  await assert.rejects(leaves, reason);
  answer();
  assert.equal((await stays).principal.id, 'alice');
  await assert.rejects(verifier.verify(token, { signal: controller.signal }), reason);
});

test('what looks like a principal is none', async () => {
  const { loadPolicy } = await policyInNode();
  const policy = await loadPolicy({ baseline: true });
  const verifier = await createVerifier(options);
  const { principal } = await verifier.verify(token);
  assert.equal(policy.can(principal, 'metadata:nodes', 'read'), true);
  const decoded = await decode(token);
  for (const other of [{ ...principal }, decoded, decoded.claims, structuredClone(principal), null, undefined, 'role:admin']) {
    assert.throws(() => policy.can(other, 'metadata:nodes', 'read'), { code: 'principal_unverified' });
  }
  assert.throws(() => principal.roles.push('admin'), TypeError);
  assert.throws(() => { principal.id = 'root'; }, TypeError);
});

test('claims decode as they are, and doubtful ones not at all', async () => {
  const encode = (text) => Buffer.from(text).toString('base64url');
  const shown = (text) => decode(`${encode('{"alg":"none"}')}.${encode(text)}.`);
  const claims = { a: { b: [1, 'é', null] } };
  assert.deepEqual(await shown(JSON.stringify(claims)), { verified: false, header: { alg: 'none' }, claims });
  const odd = (await shown('{"__proto__":{"roles":["admin"]}}')).claims;
  assert.deepEqual([Object.keys(odd), odd.roles], [['__proto__'], undefined]);
  for (const text of ['{"a":1,"a":2}', '[]', '{"a":"\\ud800"}', '', '{"a":\0}', '{}{}']) {
    await assert.rejects(shown(text), { code: 'token_malformed' }, text);
  }
});

// Browsers without Ed25519 say so in this way.
function withoutEd25519(subtle) {
  const { importKey } = subtle;
  subtle.importKey = function withoutEd25519(format, data, algorithm, ...others) {
    if (algorithm.name === 'Ed25519') throw new DOMException('Unrecognized name.', 'NotSupportedError');
    return importKey.call(this, format, data, algorithm, ...others);
  };
  return () => { subtle.importKey = importKey; };
}

test('an algorithm that WebCrypto lacks is checked in WebAssembly, in node', async () => {
  const other = await signer('EdDSA');
  const signed = await other.sign();
  const restore = withoutEd25519(Object.getPrototypeOf(webcrypto.subtle));
  try {
    const verifier = await createVerifier({ ...options, jwks: { keys: [other.jwk, key.jwk] }, cache: 0 });
    assert.equal((await verifier.verify(signed)).principal.id, 'alice');
    assert.equal((await verifier.verify(token)).principal.id, 'alice');
    const [header, , signature] = signed.split('.');
    const [, payload] = token.split('.');
    const forged = `${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`;
    await assert.rejects(verifier.verify(forged), { code: 'signature_invalid' });
  } finally {
    restore();
  }
});

test('an algorithm that WebCrypto lacks is checked in WebAssembly, in Chromium', async () => {
  const other = await signer('EdDSA');
  const page = await openPage(browser, pages);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.evaluate(`void (${withoutEd25519})(SubtleCrypto.prototype)`);
  const verify = (signed) => page.evaluate(async ([keys, signed]) => {
    const verifier = await globalThis.verifier.createVerifier({ ...keys, profile: 'generic' });
    return verifier.verify(signed).then(({ principal }) => principal.id, (error) => error.code);
  }, [{ ...options, jwks: { keys: [other.jwk, key.jwk] } }, signed]);
  const portable = `${pages.origin}/pkg/portable_bg.wasm`;
  assert.equal(await verify(token), 'alice');
  assert.equal(asked.includes(portable), false, 'nothing is loaded that is not needed');
  const signed = await other.sign();
  assert.equal(await verify(signed), 'alice');
  assert.equal(await verify(`${signed.slice(0, -8)}AAAAAAAA`), 'signature_invalid');
  assert.equal(asked.filter((url) => url === portable).length, 1);
});
