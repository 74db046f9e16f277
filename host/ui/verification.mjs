// The steps of a verification in the engine's order, told from how it ended. The engine decides;
// its stable code says which step refused, and so which ones before it did not.

const STEPS = [
  ['form', 'Form', 'Three base64url parts, header and claims strict JSON of the right types'],
  ['algorithm', 'Algorithm', 'Signed with RS, PS, ES or EdDSA; never `none`, never a shared secret'],
  ['type', 'Kind', 'An access token, not another signed document'],
  ['issuer', 'Issuer', 'Issued by this service'],
  ['key', 'Key', 'The key it names is published, and is for that algorithm'],
  ['signature', 'Signature', 'Made by that key over exactly this token'],
  ['subject', 'Subject', 'It says whom it is about'],
  ['audience', 'Audience', 'It is for the service that is called'],
  ['times', 'Times', 'Begun, not expired, and neither is its session'],
  ['profile', 'Profile', 'It has what this kind of token has to say'],
  ['binding', 'Binding', 'It is good on its own, without a key or certificate'],
];
const ORDER = STEPS.map(([id]) => id);

const BY_CODE = {
  token_too_long: 'form',
  header_too_long: 'form',
  token_malformed: 'form',
  crit_refused: 'form',
  b64_refused: 'form',
  claim_type: 'form',
  alg_missing: 'algorithm',
  alg_refused: 'algorithm',
  typ_refused: 'type',
  issuer_refused: 'issuer',
  kid_missing: 'key',
  kid_malformed: 'key',
  kid_unknown: 'key',
  keys_unavailable: 'key',
  key_alg_mismatch: 'key',
  key_unusable: 'key',
  jwks_fetch: 'key',
  signature_invalid: 'signature',
  audience_mismatch: 'audience',
  token_expired: 'times',
  token_not_yet_valid: 'times',
  token_issued_in_future: 'times',
  session_expired: 'times',
  session_too_long: 'profile',
  token_use_refused: 'profile',
  auth_factors_too_few: 'profile',
  auth_level_too_low: 'profile',
  lifetime_too_long: 'profile',
  certificate_missing: 'binding',
  certificate_mismatch: 'binding',
  dpop_missing: 'binding',
  dpop_key_mismatch: 'binding',
  dpop_scheme: 'binding',
  token_not_bound: 'binding',
  cnf_unsupported: 'binding',
};

// Claims that are asked for before those of the profile.
const BY_CLAIM = { iss: 'issuer', sub: 'subject', aud: 'audience', exp: 'times' };

/** The step that refuses with an error, or nothing when the error is not about the token. */
export function refusingStep(error) {
  if (error.code === 'claim_missing') {
    const claim = /`([^`]+)`/.exec(error.message ?? '')?.[1] ?? '';
    return Object.hasOwn(BY_CLAIM, claim) ? BY_CLAIM[claim] : 'profile';
  }
  return Object.hasOwn(BY_CODE, error.code) ? BY_CODE[error.code] : undefined;
}

/**
 * The steps as `{id, name, meaning, state, error}`; `state` is `pass`, `fail` or `open`, for what
 * was not looked at. `error` is how the verification ended, nothing when the token is good.
 */
export function steps(error) {
  const refused = error && refusingStep(error);
  const passed = error === undefined ? new Set(ORDER) : passedBefore(error, refused);
  return STEPS.map(([id, name, meaning]) => {
    const state = id === refused ? 'fail' : passed.has(id) ? 'pass' : 'open';
    return { id, name, meaning, state, error: state === 'fail' ? error : undefined };
  });
}

function passedBefore(error, refused) {
  if (refused === undefined) return new Set();
  // The types of claims are looked at after the header.
  if (error.code === 'claim_type') return new Set(['algorithm', 'type']);
  const before = ORDER.slice(0, ORDER.indexOf(refused));
  // An algorithm is refused before the claims are read.
  return new Set(refused === 'algorithm' ? [] : before);
}
