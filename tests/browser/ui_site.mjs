// A site for the inspector's tests: the real service with a policy of its own, at a real OpenID
// provider, and the service's key, to sign tokens that the service would never make.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { calculateJwkThumbprint, exportJWK, importPKCS8, SignJWT } from 'jose';

import { ISSUER, tool } from './service.mjs';

const PROVIDER = path.join(path.dirname(fileURLToPath(import.meta.url)), '../oidc-provider');

// With a model of its own the folder is the whole policy.
const MODEL = `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act
`;

export const POLICY = [
  'p, role:viewer, metadata:nodes, read',
  'p, role:viewer, /nodes, GET',
  'p, role:operator, metadata:nodes, update',
  'p, role:admin, metadata:nodes, delete',
  'g, role:operator, role:viewer',
  '',
].join('\n');

export async function startSite() {
  const folder = mkdtempSync(path.join(tmpdir(), 'tokensmith-ui-'));
  mkdirSync(path.join(folder, 'policy'));
  const policy = path.join(folder, 'policy/site.csv');
  writeFileSync(policy, POLICY);
  writeFileSync(path.join(folder, 'policy/model.conf'), MODEL);
  const provider = await program('node', [path.join(PROVIDER, 'server.mjs')], folder);
  const { issuer, client_id: client, redirect_uri: redirect } = JSON.parse(provider.line);
  const service = await program(tool('TOKENSMITH_BIN'), [
    'serve', '--issuer', ISSUER, '--listen-address', '127.0.0.1', '--port', '0',
    '--audience', 'svc', '--policy-dir', 'policy', '--oidc-issuer', issuer, '--oidc-client-id', client,
  ], folder);
  const keys = path.join(folder, 'data/keys');
  const [file] = readdirSync(keys).filter((name) => name.endsWith('.pem'));
  const key = await importPKCS8(readFileSync(path.join(keys, file), 'utf8'), 'ES256', { extractable: true });
  const { kty, crv, x, y } = await exportJWK(key);
  const kid = await calculateJwkThumbprint({ kty, crv, x, y });
  return {
    url: service.line.split(' ').at(-1),
    kid,
    provider: issuer,
    /** A token of the service for the operator `ann`, with `change` laid over its claims. */
    sign: (change = {}, header = {}) => new SignJWT(claims(change))
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT', ...header }).sign(key),
    /** An ID token of a user of the provider, by the authorization code flow. */
    async idToken(user) {
      const { stdout } = await promisify(execFile)('node', [
        path.join(PROVIDER, 'login.mjs'), issuer, client, redirect, user, `${user}-password`,
      ]);
      return JSON.parse(stdout).id_token;
    },
    /** Puts another policy in use. */
    replacePolicy(text) {
      writeFileSync(policy, text);
      service.child.kill('SIGHUP');
    },
    stop() {
      service.child.kill();
      provider.child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function claims(change = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: ISSUER, sub: 'ann', aud: ['svc'], jti: 'one', iat: now, nbf: now, exp: now + 3600,
    auth_level: 'IAL2', auth_factors: 2, auth_methods: ['pwd', 'otp'], auth_events: ['login'],
    session_id: 's', session_exp: now + 7200, principal_type: 'user', roles: ['operator'],
    scope: ['read'], ...change,
  };
}

/** A program that is ready when it has printed a line. */
async function program(name, parameters, folder) {
  const env = Object.fromEntries(Object.entries(process.env)
    .filter(([variable]) => !/^(TOKENSMITH|AUTHZ|OIDC)_/.test(variable)));
  const child = spawn(name, parameters, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, RUST_LOG: 'error' },
  });
  const { value: line } = await createInterface(child.stdout)[Symbol.asyncIterator]().next();
  if (!line) throw new Error(`\`${name}\` printed nothing`);
  // A full pipe would stop it.
  child.stdout.resume();
  return { child, line };
}
