// An OpenID provider with three accounts and a login form: what a site's Keycloak or Hydra is to
// TokenSmith. Prints {"issuer", "client_id", "redirect_uri"} on one line when it is ready.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { parseArgs } from 'node:util';

import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'client-id': { type: 'string', default: 'tokensmith' },
    'redirect-uri': { type: 'string', default: 'http://127.0.0.1:9/callback' },
    'id-token-ttl': { type: 'string', default: '3600' },
  },
});

const accounts = new Map([
  ['alice', { password: 'alice-password', groups: ['admin'], name: 'Alice Admin' }],
  ['bob', { password: 'bob-password', groups: ['viewer'], name: 'Bob Viewer' }],
  ['carol', { password: 'carol-password', groups: ['operator'], name: 'Carol Operator' }],
]);

async function findAccount(_context, id) {
  const account = accounts.get(id);
  if (!account) return undefined;
  return {
    accountId: id,
    async claims() {
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
    },
  };
}

async function key(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
}

function configuration(keys) {
  return {
    jwks: { keys },
    findAccount,
    conformIdTokenClaims: false,
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: [
        'sub', 'auth_level', 'auth_factors', 'auth_methods', 'auth_events', 'session_id',
        'session_exp',
      ],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    clients: [{
      client_id: options['client-id'],
      redirect_uris: [options['redirect-uri']],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }],
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_context, interaction) => `/login/${interaction.uid}` },
    ttl: { IdToken: Number(options['id-token-ttl']), Session: 3600, Interaction: 600, Grant: 3600 },
    // The one client is the site's own: there is nothing for a user to consent to.
    async loadExistingGrant(context) {
      const grant = new context.oidc.provider.Grant({
        clientId: context.oidc.client.clientId,
        accountId: context.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email groups');
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
    login: { accountId: name, amr: ['pwd', 'mfa'] },
  });
}

const keys = [await key('RS256'), await key('ES256')];
const server = http.createServer();
server.listen(Number(options.port), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, configuration(keys));
  const callback = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url.startsWith('/login/')) return callback(request, response);
    login(provider, request, response).catch((error) => {
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
