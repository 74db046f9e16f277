/** Why a token or policy was refused, or could not be checked. `code` is stable. */
export class VerifierError extends Error {
  constructor(code, message, options) {
    super(message, options);
    this.name = 'VerifierError';
    this.code = code;
  }
}

// The issuer, and the `kid` if there is one, whose keys an error is about.
const missing = new WeakMap();

/** `{issuer, kid}` when `error` says that keys are not there; `kid` is null when none are. */
export const missingKeys = (error) => missing.get(error);

/** Calls a module; what it throws is the text of {code, message}. */
export function call(action) {
  try {
    return action();
  } catch (thrown) {
    if (typeof thrown !== 'string') throw thrown;
    const { code, message, issuer, kid } = JSON.parse(thrown);
    const error = new VerifierError(code, message);
    if (issuer !== undefined) missing.set(error, { issuer, kid });
    throw error;
  }
}

/** Options as the modules read them. */
export function json(options) {
  try {
    return JSON.stringify(options);
  } catch (cause) {
    throw new VerifierError('bad_options', `the options are not JSON: ${cause.message}`, { cause });
  }
}

/** A date as whole Unix seconds. */
export function seconds(date, name) {
  const now = date instanceof Date ? Math.floor(date.getTime() / 1000) : NaN;
  if (!Number.isFinite(now)) throw new VerifierError('bad_options', `\`${name}\` is not a valid Date`);
  return now;
}
