import { VerifierError } from './errors.js';

// What rules call the principals that the package made. Nobody else can add one.
const subjects = new WeakMap();

/** A principal that a verified token makes; `names` are its subjects in policy rules. */
export function verifiedPrincipal(principal, names) {
  Object.freeze(principal.roles);
  Object.freeze(principal.scopes);
  subjects.set(principal, names);
  return Object.freeze(principal);
}

/** The subjects of a principal that `verifiedPrincipal` made. */
export function subjectsOf(principal) {
  const names = subjects.get(principal);
  if (names === undefined) {
    const message = 'this is no principal of a verified token: give the `principal` that `verify` returned';
    throw new VerifierError('principal_unverified', message);
  }
  return names;
}
