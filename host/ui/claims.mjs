// What the members of a header and the claims of a token are, in plain words.

const HEADER = {
  alg: 'How it is signed.',
  kid: 'Which of the issuer’s keys signed it.',
  typ: 'What kind of token it is.',
  crit: 'Extensions that a verifier has to understand. None are: such a token is refused.',
  b64: 'Says how the content is encoded. Tokens with it are refused.',
  cty: 'What the content is.',
  jwk: 'A key that came with the token. Never used: keys come from the issuer.',
  jku: 'Where the token says its keys are. Never used.',
  x5u: 'Where the token says its certificate is. Never used.',
  x5c: 'A certificate that came with the token. Never used.',
  x5t: 'Names a certificate. Never used.',
  'x5t#S256': 'Names a certificate. Never used.',
};

const CLAIMS = {
  iss: 'Who issued it.',
  sub: 'Whom it is about: the caller.',
  aud: 'For which services it is.',
  exp: 'Good until then.',
  nbf: 'Not good before.',
  iat: 'When it was issued.',
  jti: 'Its own name, by which it can be revoked.',
  nonce: 'Ties it to the request it was made for.',
  scope: 'What the caller let the client do.',
  scp: 'What the caller let the client do.',
  roles: 'The caller’s roles; the policy decides by them.',
  groups: 'The caller’s groups.',
  entitlements: 'What the caller is entitled to.',
  principal_type: 'Whether the caller is a user or a service.',
  token_use: 'What it is to be used for.',
  azp: 'The client it was issued to.',
  client_id: 'The client it was issued to.',
  act: 'Who acts for the caller.',
  may_act: 'Who may act for the caller.',
  cnf: 'It is bound to a key or certificate: good only together with that.',
  acr: 'How strongly the caller signed in.',
  amr: 'How the caller signed in.',
  auth_time: 'When the caller signed in.',
  auth_level: 'How strongly the caller signed in.',
  auth_factors: 'With how many factors the caller signed in.',
  auth_methods: 'How the caller signed in.',
  auth_events: 'What happened at sign-in.',
  session_id: 'The session it belongs to.',
  session_exp: 'When that session ends.',
  sid: 'The session at the provider.',
  at_hash: 'Ties an ID token to its access token.',
  c_hash: 'Ties an ID token to its authorization code.',
  name: 'The caller’s name.',
  given_name: 'The caller’s first name.',
  family_name: 'The caller’s last name.',
  preferred_username: 'What the caller signs in as.',
  email: 'The caller’s address.',
  email_verified: 'Whether the provider checked that address.',
  updated_at: 'When the caller’s data last changed.',
  cluster_id: 'The cluster it is for.',
  openchami_id: 'The OpenCHAMI deployment it is for.',
};

const TIMES = new Set(['exp', 'nbf', 'iat', 'auth_time', 'session_exp', 'updated_at']);

const meaning = (words, name) => (Object.hasOwn(words, name) ? words[name] : '');

export const headerMeaning = (name) => meaning(HEADER, name);

export const claimMeaning = (name) => meaning(CLAIMS, name);

/** Whether a claim is a time in Unix seconds. */
export const isTime = (name, value) => TIMES.has(name) && typeof value === 'number';

// A longer value is shown on several lines.
const LINE = 72;

/** A value as it is shown: texts bare, everything else as JSON. */
export function shown(value) {
  if (typeof value === 'string') return value;
  const line = JSON.stringify(value);
  return line.length <= LINE ? line : JSON.stringify(value, null, 2);
}

/** The audiences of a token. */
export function audiences(claims) {
  const all = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  return all.filter((own) => typeof own === 'string' && own !== '');
}

/** The token in what somebody pasted, which may be a whole `Authorization` header. */
export const pastedToken = (text) =>
  text.trim().replace(/^authorization:\s*/i, '').replace(/^(bearer|dpop)\s+/i, '').trim();
