// The package beside `jose` in Node.js: the same tokens, keys that are ready, contestants in turn.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { calculateJwkThumbprint, createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';

const ROUNDS = 15;
const TIMES = 400;
const ISSUER = 'https://issuer.test';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const { createVerifier } = await import(pathToFileURL(path.join(root, 'wasm/pkg/node.js')));

async function contestants(alg) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(publicKey);
  const kid = await calculateJwkThumbprint(jwk);
  const jwks = { keys: [{ ...jwk, kid, alg, use: 'sig' }] };
  const now = Math.floor(Date.now() / 1000);
  const token = await new SignJWT({
    iss: ISSUER, sub: 'alice', aud: ['svc'], iat: now, nbf: now, exp: now + 3600,
    auth_level: 'IAL2', auth_factors: 2, auth_methods: ['pwd', 'otp'], auth_events: ['login'],
    session_id: 's', session_exp: now + 3600, roles: ['viewer'], scope: ['read'],
  }).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey);
  const verifier = await createVerifier({ issuer: ISSUER, audience: 'svc', jwks });
  const keySet = createLocalJWKSet(jwks);
  const options = { issuer: ISSUER, audience: 'svc', algorithms: [alg], clockTolerance: 60 };
  return [
    ['jose 6', () => jwtVerify(token, keySet, options)],
    ['@tokensmith/verifier', () => verifier.verify(token)],
  ];
}

async function time(work) {
  const start = process.hrtime.bigint();
  for (let index = 0; index < TIMES; index += 1) await work();
  return Number(process.hrtime.bigint() - start) / TIMES / 1000;
}

const groups = [];
for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
  const all = await contestants(alg);
  const rounds = all.map(() => []);
  for (const [, work] of all) await time(work);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, [, work]] of all.entries()) rounds[index].push(await time(work));
  }
  const measured = all.map(([name], index) => {
    const sorted = rounds[index].sort((a, b) => a - b);
    return { name, median_us: sorted[Math.floor(ROUNDS / 2)], best_us: sorted[0] };
  });
  console.log(`\nverify in Node.js ${process.version}, ${alg}`);
  for (const { name, median_us: median, best_us: best } of measured) {
    const ratio = (measured[0].median_us / median).toFixed(2);
    console.log(`  ${name.padEnd(24)} ${median.toFixed(1).padStart(8)} us ${best.toFixed(1).padStart(8)} us  ${ratio}x speed`);
  }
  groups.push({ what: `verify, ${alg}`, contestants: measured });
}
await mkdir(path.join(root, 'target/bench'), { recursive: true });
await writeFile(path.join(root, 'target/bench/wasm.json'), `${JSON.stringify({ bench: 'wasm', groups }, null, 2)}\n`);
console.log('\nJSON: target/bench/wasm.json');
