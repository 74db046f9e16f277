// Signs a user in as a browser would, by the authorization code flow with PKCE, and prints what
// the token endpoint answered: {"id_token", "access_token", ...}.
// usage: node login.mjs ISSUER CLIENT_ID REDIRECT_URI USER PASSWORD [CLIENT_SECRET]
import * as client from 'openid-client';

const [issuer, clientId, redirectUri, user, password, secret] = process.argv.slice(2);
if (!password) {
  console.error('usage: node login.mjs ISSUER CLIENT_ID REDIRECT_URI USER PASSWORD [SECRET]');
  process.exit(2);
}

const cookies = new Map();

// One request of the browser, redirects left to the caller.
async function visit(url, init = {}) {
  const headers = new Headers(init.headers);
  headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '));
  const response = await fetch(url, { ...init, headers, redirect: 'manual' });
  for (const line of response.headers.getSetCookie()) {
    const [pair] = line.split(';');
    const at = pair.indexOf('=');
    cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return response;
}

const authentication = secret ? client.ClientSecretBasic(secret) : client.None();
const provider = await client.discovery(new URL(issuer), clientId, undefined, authentication, {
  execute: [client.allowInsecureRequests],
});
const verifier = client.randomPKCECodeVerifier();
const state = client.randomState();
const nonce = client.randomNonce();
let url = client.buildAuthorizationUrl(provider, {
  redirect_uri: redirectUri,
  scope: 'openid profile email groups',
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
});

for (let step = 0; !url.href.startsWith(redirectUri); step += 1) {
  if (step > 10) throw new Error(`more redirects than expected, the last to ${url}`);
  let response = await visit(url);
  if (response.status === 200) {
    const form = /<form method="post" action="([^"]+)"/.exec(await response.text());
    if (!form) throw new Error(`no login form at ${url}`);
    url = new URL(form[1], url);
    response = await visit(url, {
      method: 'POST',
      body: new URLSearchParams({ login: user, password }),
    });
  }
  const location = response.headers.get('location');
  if (!location) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  url = new URL(location, url);
}

const tokens = await client.authorizationCodeGrant(provider, url, {
  pkceCodeVerifier: verifier,
  expectedState: state,
  expectedNonce: nonce,
  idTokenExpected: true,
});
console.log(JSON.stringify(tokens));
