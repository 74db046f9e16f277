// The package beside `jose`: the same tokens, keys that are ready, contestants in turn. Runs in
// pages too.

const ROUNDS = 15;
const ISSUER = 'https://issuer.test';

/** Measures all; `[{what, limit_us, contestants: [{name, median_us, best_us}]}]`. */
export async function measure({ createVerifier, decode, loadPolicy, jose }) {
  const groups = [];
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
    const { token, options, keySet } = await signed(jose, alg);
    const checks = await createVerifier({ ...options, cache: 0 });
    const remembers = await createVerifier(options);
    const required = { issuer: ISSUER, audience: 'svc', algorithms: [alg], clockTolerance: 60 };
    groups.push(await compared(`verify, ${alg}`, 400, [
      ['jose 6', () => jose.jwtVerify(token, keySet, required)],
      ['@tokensmith/verifier', () => checks.verify(token)],
      ['remembered', () => remembers.verify(token)],
    ]));
  }
  const { token, options } = await signed(jose, 'ES256');
  groups.push(await compared('decode', 5000, [
    ['jose 6', async () => [jose.decodeProtectedHeader(token), jose.decodeJwt(token)]],
    ['@tokensmith/verifier', () => decode(token)],
  ], 10));
  const policy = await loadPolicy({ baseline: true });
  const { principal } = await (await createVerifier(options)).verify(token);
  const actions = ['read', 'update', 'delete'];
  let turn = 0;
  groups.push(await compared('can', 20_000, [
    ['@tokensmith/verifier/policy', () => policy.can(principal, 'metadata:nodes', actions[(turn += 1) % 3])],
  ], 2));
  return groups;
}

async function signed(jose, alg) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  const jwk = await jose.exportJWK(publicKey);
  const kid = await jose.calculateJwkThumbprint(jwk);
  const jwks = { keys: [{ ...jwk, kid, alg, use: 'sig' }] };
  const now = Math.floor(Date.now() / 1000);
  const token = await new jose.SignJWT({
    iss: ISSUER, sub: 'alice', aud: ['svc'], iat: now, nbf: now, exp: now + 3600,
    auth_level: 'IAL2', auth_factors: 2, auth_methods: ['pwd', 'otp'], auth_events: ['login'],
    session_id: 's', session_exp: now + 3600, roles: ['viewer'], scope: ['read'],
  }).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey);
  return { token, options: { issuer: ISSUER, audience: 'svc', jwks }, keySet: jose.createLocalJWKSet(jwks) };
}

async function compared(what, times, contestants, limit) {
  const time = async (work) => {
    const start = performance.now();
    for (let index = 0; index < times; index += 1) {
      const answer = work();
      if (answer instanceof Promise) await answer;
    }
    return ((performance.now() - start) / times) * 1000;
  };
  for (const [, work] of contestants) await time(work);
  const rounds = contestants.map(() => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, [, work]] of contestants.entries()) rounds[index].push(await time(work));
  }
  return {
    what,
    limit_us: limit ?? null,
    contestants: contestants.map(([name], index) => {
      const sorted = rounds[index].sort((one, other) => one - other);
      return { name, median_us: sorted[Math.floor(ROUNDS / 2)], best_us: sorted[0] };
    }),
  };
}
