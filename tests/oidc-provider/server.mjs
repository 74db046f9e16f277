// An OpenID provider with three accounts and a login form: what a site's Keycloak or Hydra is to
// TokenSmith. Prints {"issuer", "client_id", "redirect_uri"} on one line when it is ready.
//
// With --client-secret the client is a confidential one and may introspect its opaque access
// tokens; with --resource access tokens are JWTs for that audience; with --bare tokens say no more
// than who the user is, and how and when they signed in; with --keys the keys are in a file and
// outlive the process. POST /control/rotate replaces the keys, POST /control/rotate?keep puts new
// ones before them.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'client-id': { type: 'string', default: 'tokensmith' },
    'client-secret': { type: 'string' },
    'redirect-uri': { type: 'string', default: 'http://127.0.0.1:9/callback' },
    'id-token-ttl': { type: 'string', default: '3600' },
    keys: { type: 'string' },
    resource: { type: 'string' },
    bare: { type: 'boolean', default: false },
  },
});

const SCOPE = 'openid profile email groups';

const accounts = new Map([
  ['alice', { password: 'alice-password', groups: ['admin'], name: 'Alice Admin' }],
  ['bob', { password: 'bob-password', groups: ['viewer'], name: 'Bob Viewer' }],
  ['carol', { password: 'carol-password', groups: ['operator'], name: 'Carol Operator' }],
]);

function claimsOf(id) {
  const account = accounts.get(id);
  if (options.bare) return { sub: id, groups: account.groups };
  const now = Math.floor(Date.now() / 1000);
  return {
    sub: id,
    preferred_username: id,
    name: account.name,
    email: `${id}@site.example`,
    email_verified: true,
    groups: account.groups,
    auth_level: 'IAL2',
    auth_factors: 2,
    auth_methods: ['password', 'mfa'],
    auth_events: ['interactive_login'],
    session_id: `idp-${id}`,
    session_exp: now + 8 * 3600,
  };
}

async function findAccount(_context, id) {
  if (!accounts.has(id)) return undefined;
  return { accountId: id, claims: async () => claimsOf(id) };
}

// The kid is the key's own: keys of two generations never share one.
async function key(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

// The first key of an algorithm signs.
const newKeys = async () => [await key('RS256'), await key('ES256')];

const firstKeys = async () => (options.keys && existsSync(options.keys)
  ? JSON.parse(readFileSync(options.keys, 'utf8'))
  : newKeys());

// Whoever is signing in goes on when the keys are replaced.
const cookieKey = randomBytes(32).toString('base64url');

const client = {
  client_id: options['client-id'],
  redirect_uris: [options['redirect-uri']],
  grant_types: ['authorization_code'],
  response_types: ['code'],
  ...(options['client-secret']
    ? {
      client_secret: options['client-secret'],
      token_endpoint_auth_method: 'client_secret_basic',
    }
    : { token_endpoint_auth_method: 'none' }),
};

function configuration(keys) {
  return {
    jwks: { keys },
    findAccount,
    conformIdTokenClaims: false,
    scopes: SCOPE.split(' '),
    claims: {
      openid: [
        'sub', 'auth_level', 'auth_factors', 'auth_methods', 'auth_events', 'session_id',
        'session_exp', ...(options.bare ? ['acr', 'amr', 'auth_time', 'sid'] : []),
      ],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    clients: [client],
    cookies: { keys: [cookieKey] },
    features: {
      devInteractions: { enabled: false },
      introspection: {
        enabled: Boolean(options['client-secret']),
        allowedPolicy: (_context, asking, token) => asking.clientId === token.clientId,
      },
      revocation: {
        enabled: Boolean(options['client-secret']),
        allowedPolicy: (_context, asking, token) => asking.clientId === token.clientId,
      },
      resourceIndicators: {
        enabled: Boolean(options.resource),
        defaultResource: () => options.resource,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: SCOPE,
          audience: options.resource,
          accessTokenTTL: 3600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    // What the ID token says of the user, the access token says too.
    extraTokenClaims: (_context, token) => (token.accountId ? claimsOf(token.accountId) : undefined),
    interactions: { url: (_context, interaction) => `/login/${interaction.uid}` },
    ttl: {
      IdToken: Number(options['id-token-ttl']),
      AccessToken: 3600,
      Session: 3600,
      Interaction: 600,
      Grant: 3600,
    },
    // The one client is the site's own: there is nothing for a user to consent to.
    async loadExistingGrant(context) {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client.clientId,
        accountId: context.oidc.session.accountId,
      });
      grant.addOIDCScope(SCOPE);
      if (options.resource) grant.addResourceScope(options.resource, SCOPE);
      await grant.save();
      return grant;
    },
  };
}

const page = (message, action) => `<!doctype html>
<html lang="en"><title>Sign in</title>
<h1>Sign in</h1><p role="alert">${message}</p>
<form method="post" action="${action}">
<label>User <input name="login" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form></html>`;

async function login(provider, request, response) {
  const { uid } = await provider.interactionDetails(request, response);
  const html = (status, message) => {
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
    response.end(page(message, `/login/${uid}`));
  };
  if (request.method !== 'POST') return html(200, '');
  let body = '';
  for await (const chunk of request) {
    body += chunk;
    if (body.length > 4096) return html(413, 'Too much.');
  }
  const form = new URLSearchParams(body);
  const name = form.get('login') ?? '';
  if (!accounts.has(name) || accounts.get(name).password !== form.get('password')) {
    return html(401, 'User or password is wrong.');
  }
  return provider.interactionFinished(request, response, {
    login: { accountId: name, acr: 'urn:site:loa:2', amr: ['pwd', 'otp', 'mfa'] },
  });
}

const server = http.createServer();
server.listen(Number(options.port), '127.0.0.1', async () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let keys;
  let provider;
  let callback;
  function start(next) {
    keys = next;
    if (options.keys) writeFileSync(options.keys, JSON.stringify(keys), { mode: 0o600 });
    provider = new Provider(issuer, configuration(keys));
    callback = provider.callback();
  }
  async function rotate(response, kept) {
    start([...await newKeys(), ...kept]);
    response.writeHead(204).end();
  }
  start(await firstKeys());
  server.on('request', (request, response) => {
    if (request.method === 'POST' && request.url === '/control/rotate') {
      return rotate(response, []);
    }
    if (request.method === 'POST' && request.url === '/control/rotate?keep') {
      return rotate(response, keys);
    }
    if (!request.url.startsWith('/login/')) return callback(request, response);
    return login(provider, request, response).catch((error) => {
      response.writeHead(400, { 'content-type': 'text/plain' });
      response.end(`${error.name}: ${error.message}`);
    });
  });
  console.log(JSON.stringify({
    issuer,
    client_id: options['client-id'],
    redirect_uri: options['redirect-uri'],
  }));
});
