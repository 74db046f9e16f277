// The wire as a client library of others (`oauth4webapi`) speaks it, strictly by the RFCs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';

import { startProvider, startService, table } from './service.mjs';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const ID_TOKEN = 'urn:ietf:params:oauth:token-type:id_token';
const BOOTSTRAP_TOKEN = 'urn:openchami:params:oauth:token-type:bootstrap-token';

let provider;
let service;
let server;
const keys = {};

before(async () => {
  provider = await startProvider();
  for (const name of ['gateway', 'stranger', 'other']) keys[name] = await oauth.generateKeyPair('ES256');
  service = await startService(await configuration(), [
    '--oidc-issuer', provider.issuer, '--oidc-client-id', provider.clientId,
    '--audience', 'inventory,power', '--access-token-type', 'at+jwt',
    '--issued-token-type', 'rfc8693', '--trusted-proxy', '127.0.0.0/8',
  ]);
  server = await discover();
});

after(() => {
  service?.stop();
  provider?.stop();
});

async function configuration() {
  const client = async (name) => {
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', keys[name].publicKey);
    return table('clients', {
      client_id: name,
      auth: 'private_key_jwt',
      jwks: { keys: [{ kty, crv, x, y, kid: `${name}-1`, alg: 'ES256', use: 'sig' }] },
      grants: ['client_credentials', 'token_exchange'],
      client_credentials: { audience: ['inventory'], scopes: ['read', 'introspect'] },
    });
  };
  return [
    await client('gateway'),
    await client('other'),
    table('exchange', {
      name: 'users of the site', clients: ['gateway'], subject: { issuer: provider.issuer },
      audiences: ['inventory', 'power'], scopes: ['read', 'write'], mode: 'impersonate',
    }),
    table('exchange', {
      name: 'on behalf of users', clients: ['gateway'], subject: { issuer: 'self', principal: 'user' },
      audiences: ['power'], scopes: ['read'], mode: 'delegate', max_lifetime: 300,
    }),
  ].join('');
}

// From an address of its own each request is let in, however many of this file's failed before.
let calls = 0;
const http = {
  [oauth.allowInsecureRequests]: true,
  [oauth.customFetch](url, options) {
    calls += 1;
    const headers = { ...options.headers, 'x-forwarded-for': `10.0.${calls >> 8}.${calls & 255}` };
    return fetch(url, { ...options, headers });
  },
};

async function discover() {
  const issuer = new URL(service.issuer);
  const response = await oauth.discoveryRequest(issuer, { ...http, algorithm: 'oauth2' });
  return oauth.processDiscoveryResponse(issuer, response);
}

const client = (name) => ({ client_id: name });
/** A caller that shows nothing but its token. */
const nobody = () => {};
const bearer = (token) => (_server, _client, _body, headers) => {
  headers.set('authorization', `Bearer ${token}`);
};
const keyOf = (name, options) =>
  oauth.PrivateKeyJwt({ key: keys[name].privateKey, kid: `${name}-1` }, options);

async function redeem(token) {
  const parameters = { subject_token_type: BOOTSTRAP_TOKEN, subject_token: token };
  const response = await oauth.genericTokenEndpointRequest(
    server, client('boot-service'), nobody, TOKEN_EXCHANGE, parameters, http,
  );
  return oauth.processGenericTokenEndpointResponse(server, client('boot-service'), response);
}

async function refresh(token) {
  const caller = client('boot-service');
  const response = await oauth.refreshTokenGrantRequest(server, caller, nobody, token, http);
  return oauth.processRefreshTokenResponse(server, caller, response);
}

async function ownToken(name, parameters, authentication = keyOf(name)) {
  const caller = client(name);
  const response = await oauth.clientCredentialsGrantRequest(server, caller, authentication, parameters, http);
  return oauth.processClientCredentialsResponse(server, caller, response);
}

async function exchange(name, parameters, authentication = keyOf(name)) {
  const caller = client(name);
  const response = await oauth.genericTokenEndpointRequest(
    server, caller, authentication, TOKEN_EXCHANGE, parameters, http,
  );
  return oauth.processGenericTokenEndpointResponse(server, caller, response);
}

async function introspect(token, authentication) {
  const caller = client('gateway');
  const response = await oauth.introspectionRequest(server, caller, authentication, token, http);
  return oauth.processIntrospectionResponse(server, caller, response);
}

async function revoke(token) {
  const response = await oauth.revocationRequest(server, client('boot-service'), nobody, token, http);
  return oauth.processRevocationResponse(response);
}

/** The claims, by the keys that the service publishes. */
async function claims(token, audience) {
  const jwks = createRemoteJWKSet(new URL(server.jwks_uri));
  const options = { issuer: service.issuer, audience, typ: 'at+jwt', algorithms: ['ES256'] };
  return (await jwtVerify(token, jwks, options)).payload;
}

/** An error answer; where it has a challenge the library shows that in place of the body. */
async function refused(promise, status, error) {
  await assert.rejects(promise, (reason) => {
    assert.equal(reason.status, status, String(reason));
    if (reason.code !== oauth.WWW_AUTHENTICATE_CHALLENGE) {
      assert.deepEqual([reason.code, reason.error], [oauth.RESPONSE_BODY_ERROR, error]);
      assert.equal(typeof reason.error_description, 'string');
    }
    return true;
  });
}

test('discovery (RFC 8414)', () => {
  assert.equal(server.issuer, service.issuer);
  for (const name of ['token', 'introspection', 'revocation']) {
    assert.ok(server[`${name}_endpoint`].startsWith(`${service.issuer}/`), name);
  }
  for (const grant of [TOKEN_EXCHANGE, 'refresh_token', 'client_credentials']) {
    assert.ok(server.grant_types_supported.includes(grant), grant);
  }
  assert.ok(server.token_endpoint_auth_methods_supported.includes('private_key_jwt'));
  assert.ok(server.token_endpoint_auth_signing_alg_values_supported.includes('ES256'));
});

test('a bootstrap token becomes tokens that the published keys verify, once', async () => {
  const token = service.bootstrapToken('boot-service', 'inventory', ['read']);
  const answer = await redeem(token);
  assert.equal(answer.token_type, 'bearer');
  assert.equal(answer.issued_token_type, ACCESS_TOKEN);
  assert.equal(answer.scope, 'read');
  assert.equal(answer.expires_in, 3600);
  const payload = await claims(answer.access_token, 'inventory');
  assert.equal(payload.sub, 'boot-service');
  await assert.rejects(claims(answer.access_token, 'power'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
  await refused(redeem(token), 400, 'invalid_grant');
});

test('refresh tokens rotate, and one that is used again ends its family', async () => {
  const first = await redeem(service.bootstrapToken('boot-service', 'inventory', ['read']));
  const second = await refresh(first.refresh_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal((await claims(second.access_token, 'inventory')).sub, 'boot-service');
  await refused(refresh(first.refresh_token), 400, 'invalid_grant');
  await refused(refresh(second.refresh_token), 400, 'invalid_grant');
});

test('a client gets a token for itself by a key (RFC 7523), of the profile of RFC 9068', async () => {
  const answer = await ownToken('gateway', { scope: 'read' });
  assert.equal(answer.refresh_token, undefined, 'RFC 6749 section 4.4.3');
  assert.equal(answer.scope, 'read');
  const headers = { authorization: `Bearer ${answer.access_token}` };
  const request = new Request('http://inventory.test/nodes', { headers });
  const payload = await oauth.validateJwtAccessToken(server, request, 'inventory', http);
  assert.equal(payload.sub, 'gateway');
  assert.equal(payload.client_id, 'gateway');
  await refused(ownToken('gateway', { scope: 'admin' }), 400, 'invalid_scope');
});

test('only a fresh assertion by the client’s own key authenticates it', async () => {
  const change = (change) => keyOf('gateway', {
    [oauth.modifyAssertion](_header, payload) {
      Object.assign(payload, change);
    },
  });
  const again = change({ jti: crypto.randomUUID() });
  await ownToken('gateway', {}, again);
  const past = Math.floor(Date.now() / 1000) - 600;
  for (const [what, name, authentication] of [
    ['the same assertion again', 'gateway', again],
    ['another client’s key', 'gateway', keyOf('stranger')],
    ['for another server', 'gateway', change({ aud: 'https://other.example' })],
    ['an old one', 'gateway', change({ iat: past - 60, nbf: past - 60, exp: past })],
    ['of another client', 'gateway', change({ iss: 'other', sub: 'other' })],
    ['without a name', 'gateway', change({ jti: undefined })],
    ['an unknown client', 'stranger', keyOf('stranger')],
    ['no authentication', 'gateway', oauth.None()],
  ]) {
    await refused(ownToken(name, {}, authentication), 401, 'invalid_client')
      .catch((error) => assert.fail(`${what}: ${error.message}`));
  }
});

test('an ID token is exchanged for less than it could be (RFC 8693)', async () => {
  const subject = { subject_token_type: ID_TOKEN, subject_token: provider.idToken('alice') };
  const answer = await exchange('gateway', { ...subject, audience: 'inventory', scope: 'read' });
  assert.equal(answer.issued_token_type, ACCESS_TOKEN);
  assert.equal(answer.scope, 'read');
  const payload = await claims(answer.access_token, 'inventory');
  assert.equal(payload.sub, 'alice');
  assert.deepEqual([payload.aud].flat(), ['inventory']);
  assert.deepEqual([payload.scope].flat(), ['read']);
  assert.equal(payload.act, undefined);
  const to = (parameters) => exchange('gateway', { ...subject, ...parameters });
  await refused(to({ audience: 'elsewhere' }), 400, 'invalid_target');
  await refused(to({ audience: 'inventory', scope: 'admin' }), 400, 'invalid_scope');
  const broken = `${subject.subject_token.slice(0, -4)}AAAA`;
  await refused(to({ audience: 'inventory', subject_token: broken }), 400, 'invalid_request');
});

test('exchange is for the clients that a rule names', async () => {
  const subject = { subject_token_type: ID_TOKEN, subject_token: provider.idToken('bob') };
  const parameters = { ...subject, audience: 'inventory' };
  await refused(exchange('other', parameters), 400, 'unauthorized_client');
  await refused(exchange('gateway', parameters, nobody), 401, 'invalid_client');
});

test('a service acts for a user, and the token says so (RFC 8693 section 4.1)', async () => {
  const parameters = { subject_token_type: ID_TOKEN, subject_token: provider.idToken('alice') };
  const user = await exchange('gateway', { ...parameters, audience: 'inventory' });
  const actor = await ownToken('gateway', { scope: 'read' });
  const delegation = {
    subject_token_type: ACCESS_TOKEN, subject_token: user.access_token,
    actor_token_type: ACCESS_TOKEN, actor_token: actor.access_token,
  };
  const answer = await exchange('gateway', { ...delegation, audience: 'power' });
  assert.ok(answer.expires_in <= 300, `${answer.expires_in}`);
  assert.equal(answer.scope, 'read', 'no more than the rule');
  const payload = await claims(answer.access_token, 'power');
  assert.equal(payload.sub, 'alice');
  assert.deepEqual([payload.aud].flat(), ['power']);
  assert.equal(payload.act.sub, 'gateway');
  assert.equal(payload.act.iss, service.issuer);
  assert.equal(payload.act.act, undefined);
  const reader = await ownToken('gateway', { scope: 'introspect' });
  const told = await introspect(answer.access_token, bearer(reader.access_token));
  assert.equal(told.active, true);
  assert.equal(told.act.sub, 'gateway');
  await refused(exchange('gateway', { ...delegation, audience: 'inventory' }), 400, 'invalid_target');
  const more = { ...delegation, audience: 'power', scope: 'read write' };
  await refused(exchange('gateway', more), 400, 'invalid_scope');
});

test('introspection (RFC 7662) and revocation (RFC 7009)', async () => {
  const reader = bearer((await ownToken('gateway', { scope: 'introspect' })).access_token);
  const answer = await redeem(service.bootstrapToken('boot-service', 'inventory', ['read']));
  const active = await introspect(answer.access_token, reader);
  assert.equal(active.active, true);
  assert.deepEqual([active.sub, active.scope, active.iss], ['boot-service', 'read', service.issuer]);
  assert.ok(active.exp > active.iat);
  await revoke(answer.access_token);
  assert.deepEqual(await introspect(answer.access_token, reader), { active: false });
  assert.equal((await introspect(answer.refresh_token, reader)).active, true);
  await revoke(answer.refresh_token);
  assert.deepEqual(await introspect(answer.refresh_token, reader), { active: false });
  await refused(refresh(answer.refresh_token), 400, 'invalid_grant');
  await revoke('nobody’s');
  await refused(introspect(answer.access_token, nobody), 401, 'missing_token');
  const weak = bearer((await ownToken('gateway', { scope: 'read' })).access_token);
  await refused(introspect(answer.access_token, weak), 403, 'insufficient_scope');
});

test('errors are those of RFC 6749', async () => {
  const send = async (grant, parameters) => {
    const caller = client('boot-service');
    const response = await oauth.genericTokenEndpointRequest(server, caller, nobody, grant, parameters, http);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    return oauth.processGenericTokenEndpointResponse(server, caller, response);
  };
  await refused(send('password', { username: 'a', password: 'b' }), 400, 'unsupported_grant_type');
  await refused(send('refresh_token', {}), 400, 'invalid_request');
  await refused(send('refresh_token', { refresh_token: 'guess' }), 400, 'invalid_grant');
  await refused(send(TOKEN_EXCHANGE, { subject_token: 'x' }), 400, 'invalid_request');
  await refused(send(TOKEN_EXCHANGE, { subject_token: 'x', subject_token_type: 'y' }), 400, 'invalid_request');
  await refused(send('client_credentials', {}), 401, 'invalid_client');
});
