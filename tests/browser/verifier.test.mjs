// The package in Node.js and in a real Chromium: the same cases, and keys of the real service.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { makeCases, outcomes } from './cases.mjs';
import { inNode, launch, openPage, serve } from './pages.mjs';
import { ISSUER, startService } from './service.mjs';

let service;
let pages;
let browser;

before(async () => {
  service = await startService();
  pages = await serve([service.url]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  pages?.close();
  service?.stop();
});

function compare(cases, seen) {
  const wrong = cases
    .map(({ name, expected }, index) => ({ name, expected, seen: seen[index] }))
    .filter(({ expected, seen }) => expected !== seen);
  assert.deepEqual(wrong, []);
  assert.equal(seen.length, cases.length);
}

test('cases in node', async () => {
  const cases = await makeCases();
  compare(cases, await outcomes(await inNode(), cases));
});

test('cases in Chromium', async () => {
  const cases = await makeCases();
  const page = await openPage(browser, pages);
  // A function crosses to the page as its text.
  const seen = await page.evaluate(
    `(${outcomes})(globalThis.verifier, ${JSON.stringify(cases)})`,
  );
  compare(cases, seen);
});

test('a token of the service, with the keys it publishes, in node', async () => {
  const { createVerifier, decode } = await inNode();
  const token = await service.accessToken('boot-service', 'svc');
  const shown = await decode(token);
  assert.equal(shown.verified, false);
  assert.equal(shown.claims.sub, 'boot-service');
  const verifier = await createVerifier({ issuer: ISSUER, audience: 'svc', jwksUri: service.jwksUri });
  const { principal, header } = await verifier.verify(token);
  assert.deepEqual(principal, { id: 'boot-service', type: 'service', roles: ['service'], scopes: [] });
  assert.equal(header.alg, 'ES256');
  await assert.rejects(verifier.verify(`${token.slice(0, -4)}AAAA`), { name: 'VerifierError', code: 'signature_invalid' });
});

test('a token of the service, with the keys it publishes, in Chromium', async () => {
  const page = await openPage(browser, pages);
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  const token = await service.accessToken('boot-service', 'svc');
  const seen = await page.evaluate(async ({ token, options }) => {
    const { createVerifier, decode, VerifierError } = globalThis.verifier;
    const verifier = await createVerifier(options);
    const { principal } = await verifier.verify(token);
    const [header, , signature] = token.split('.');
    const payload = btoa(JSON.stringify({ ...(await decode(token)).claims, sub: 'root' }))
      .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
    const refused = await verifier.verify(`${header}.${payload}.${signature}`).catch((error) => error);
    return {
      principal,
      decoded: (await decode(token)).verified,
      refused: [refused instanceof VerifierError, refused.code],
    };
  }, { token, options: { issuer: ISSUER, audience: 'svc', jwksUri: service.jwksUri } });
  assert.deepEqual(seen, {
    principal: { id: 'boot-service', type: 'service', roles: ['service'], scopes: [] },
    decoded: false,
    refused: [true, 'signature_invalid'],
  });
  // The module, once, and the keys: nothing else is asked for, the portable checks neither.
  assert.deepEqual(asked, [`${pages.origin}/pkg/engine_bg.wasm`, service.jwksUri]);
});

test('a page that may not compile modules is told so', async () => {
  const page = await openPage(browser, pages, '/without-wasm');
  const code = await page.evaluate(() => globalThis.verifier.decode('a.b.c').catch((error) => error.code));
  assert.equal(code, 'wasm_load');
});

test('keys that cannot be fetched are an error that says so, and forged kids fetch once', async () => {
  const { createVerifier } = await inNode();
  const token = await service.accessToken('boot-service', 'svc');
  const options = { issuer: ISSUER, audience: 'svc' };
  const down = await createVerifier({ ...options, jwksUri: 'http://127.0.0.1:9/jwks' });
  await assert.rejects(down.verify(token), { code: 'jwks_fetch', message: /127\.0\.0\.1:9/ });
  await assert.rejects(down.verify(token), { code: 'keys_unavailable' });
  let fetches = 0;
  const counted = await createVerifier({
    ...options,
    jwksUri: service.jwksUri,
    fetch: (...parameters) => {
      fetches += 1;
      return fetch(...parameters);
    },
  });
  await Promise.all(Array.from({ length: 20 }, () => counted.verify(token)));
  assert.equal(fetches, 1, 'callers share one fetch');
  const forged = await (await makeCases()).find(({ name }) => name === 'unknown kid');
  const refused = Array.from({ length: 20 }, () =>
    assert.rejects(counted.verify(forged.token), { code: 'kid_unknown' }));
  await Promise.all(refused);
  assert.equal(fetches, 1, 'within the cool-down nothing is fetched again');
});

test('a key that replaces another of the same name is the one that counts', async () => {
  const { createVerifier } = await inNode();
  const { generateKeyPair, exportJWK, SignJWT } = await import('jose');
  const pairs = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
  const sets = await Promise.all(pairs.map(async ({ publicKey }) => ({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'signing', alg: 'ES256' }],
  })));
  const start = Math.floor(Date.now() / 1000);
  const tokens = await Promise.all(pairs.map(({ privateKey }) =>
    new SignJWT({ iss: ISSUER, aud: 'svc', sub: 'alice', exp: start + 9000 })
      .setProtectedHeader({ alg: 'ES256', kid: 'signing' }).sign(privateKey)));
  let published = sets[0];
  const verifier = await createVerifier({
    issuer: ISSUER, audience: 'svc', profile: 'generic', jwksUri: 'https://keys.test/jwks',
    fetch: async () => new Response(JSON.stringify(published)),
  });
  const at = (seconds) => ({ currentDate: new Date((start + seconds) * 1000) });
  await verifier.verify(tokens[0], at(0));
  await assert.rejects(verifier.verify(tokens[1], at(0)), { code: 'signature_invalid' });
  published = sets[1];
  // Old by now: the next call asks for the keys, the one after it has them.
  await verifier.verify(tokens[0], at(700));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await verifier.verify(tokens[1], at(701));
  await assert.rejects(verifier.verify(tokens[0], at(701)), { code: 'signature_invalid' });
});
