// The page: what is typed becomes questions to the verifier and the policy, whose answers the
// views show. A token is in the text field and in memory, nowhere else.

import { audiences, pastedToken } from './claims.mjs';
import { byId, code, say, sayError, sentence, suggest } from './elements.mjs';
import { listenForFilters, noPermissions, showPermissions } from './permissions_view.mjs';
import { drawRoles, listenForDrawing } from './roles_view.mjs';
import { JWKS_URI, description, exchange, policyBundle, publishedKeys } from './service.mjs';
import { asked, showService } from './service_view.mjs';
import { keepRelative } from './times.mjs';
import { hideToken, showDecoded, showPrincipal, showSteps } from './token_view.mjs';
import { createVerifier, decode } from './verifier/browser.js';
import { loadPolicy } from './verifier/policy-browser.js';
import { refusingStep } from './verification.mjs';
import { explainBy, explainFor, listenForQuestions } from './why_view.mjs';

const REFRESH_MS = 15_000;
const NO_TOKEN = 'Inspect a token first: only a verified one says who calls.';

let service;
let policy;
let policyVersion;
let principal;
let verifier;
// Answers to an earlier question are not shown.
let turn = 0;

async function inspect() {
  turn += 1;
  const own = turn;
  forget();
  const token = pastedToken(byId('token').value);
  if (token === '') return say(byId('status'), 'bad', 'Paste a token first.');
  let decoded;
  try {
    decoded = await decode(token);
  } catch (error) {
    if (own === turn) refused(error, []);
    return;
  }
  if (own !== turn) return;
  showDecoded(decoded);
  suggest(byId('audiences'), [...new Set([...audiences(decoded.claims), ...(service?.audiences ?? [])])]);
  if (service === undefined) {
    return say(byId('status'), 'bad', 'Not verified: the service has not told who it is yet.');
  }
  byId('exchange-offer').hidden = service.oidc === null || decoded.claims.iss !== service.oidc.issuer;
  const against = expectation(decoded.claims);
  const shown = [
    'Checked for the issuer ', code(service.issuer), ' and the audience ', code(against.audience),
    against.assumed ? ', which is the token’s own' : '', '.',
  ];
  let verified;
  try {
    verified = await (await verifierFor(against)).verify(token);
  } catch (error) {
    if (own === turn) refused(error, shown);
    return;
  }
  if (own === turn) accepted(verified, shown);
}

/** What a token is held to: what was typed, else what fits it. */
function expectation(claims) {
  const typed = byId('audience').value.trim();
  const profile = byId('profile').value;
  if (typed !== '') return { audience: typed, profile, assumed: false };
  const [first] = audiences(claims);
  return { audience: first ?? service.audiences[0] ?? service.issuer, profile, assumed: first !== undefined };
}

/** The verifier for an expectation; the last one is kept, with its keys. */
async function verifierFor({ audience, profile }) {
  const name = JSON.stringify([service.issuer, audience, profile]);
  if (verifier?.name !== name) {
    const options = { issuer: service.issuer, audience, profile, jwksUri: JWKS_URI };
    verifier = { name, made: createVerifier(options) };
  }
  return verifier.made;
}

function accepted(verified, against) {
  ({ principal } = verified);
  say(byId('status'), 'good', 'Verified: ', code(principal.id), `, a ${principal.type}.`);
  showSteps(undefined, against);
  showPrincipal(principal);
  explainFor(principal);
  showAllowed();
}

function refused(error, against) {
  const status = byId('status');
  if (refusingStep(error) === undefined) return sayError(status, error);
  say(status, 'bad', 'Refused: ', code(error.code), ', ', sentence(error.message));
  showSteps(error, against);
}

function showAllowed() {
  if (principal === undefined) return noPermissions(NO_TOKEN);
  if (policy === undefined) return noPermissions('The policy is not loaded: see below, under Service.');
  return showPermissions(policy, principal);
}

/** Nothing of the last token stays on the page. */
function forget() {
  principal = undefined;
  hideToken();
  noPermissions(NO_TOKEN);
  explainFor(undefined);
  byId('exchange-offer').hidden = true;
  byId('why').hidden = true;
  byId('why').replaceChildren();
  for (const id of ['header', 'payload', 'principal', 'steps', 'permissions']) byId(id).replaceChildren();
  say(byId('status'), '');
  say(byId('why-status'), '');
}

async function exchangeToken() {
  const button = byId('exchange');
  button.disabled = true;
  const own = turn;
  try {
    const token = await exchange(pastedToken(byId('token').value));
    if (own !== turn) return;
    byId('token').value = token;
    await inspect();
    byId('token').focus();
  } catch (error) {
    if (own === turn) sayError(byId('status'), error);
  } finally {
    button.disabled = false;
  }
}

/** Asks the service what it is now; `told` is said when it has answered. */
async function refresh(told = '') {
  const status = byId('service-status');
  try {
    const [next, keys] = await Promise.all([description(), publishedKeys()]);
    service = next;
    showService(next, keys, policy?.bundle);
    const news = await followPolicy(next.policy.version);
    if (news) showService(next, keys, policy.bundle);
    byId('service-asked').textContent = asked();
    say(status, '', news ?? told);
  } catch (error) {
    sayError(status, error);
  }
}

/** Loads the policy when it is another one than before, and says so. */
async function followPolicy(version) {
  if (version === policyVersion) return undefined;
  const bundle = await policyBundle();
  const state = policy?.bundle.state;
  policy = await loadPolicy(bundle, { issuer: service.issuer, jwksUri: JWKS_URI, state });
  policyVersion = version;
  explainBy(policy);
  drawRoles(policy);
  showAllowed();
  return `The policy in use is ${version}.`;
}

function start() {
  byId('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    inspect();
  });
  byId('clear').addEventListener('click', () => {
    turn += 1;
    byId('token-form').reset();
    suggest(byId('audiences'), service?.audiences ?? []);
    forget();
    byId('token').focus();
  });
  byId('exchange').addEventListener('click', exchangeToken);
  byId('refresh').addEventListener('click', () => refresh('Asked again.'));
  listenForFilters();
  listenForQuestions();
  listenForDrawing();
  keepRelative();
  refresh();
  setInterval(() => refresh(), REFRESH_MS);
}

start();
