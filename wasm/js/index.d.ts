/** A token's header and claims as they are written in it. Anyone can write anything there. */
export interface DecodedToken {
  readonly verified: false;
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
}

/** Who a verified token makes the caller. */
export interface Principal {
  readonly id: string;
  readonly type: 'user' | 'service';
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

export interface VerifiedToken {
  readonly header: { readonly alg: string; readonly kid: string | null; readonly typ: string | null };
  readonly claims: Record<string, unknown>;
  readonly principal: Principal;
}

export interface VerifierOptions {
  /** The exact `iss`. */
  issuer: string;
  /** `aud` must have one of these. */
  audience: string | string[];
  /** Where the issuer publishes its keys; fetched when needed. Either this or `jwks`. */
  jwksUri?: string;
  /** The issuer's keys. */
  jwks?: { keys: readonly unknown[] };
  /** Seconds of clock difference allowed, 0 to 600; 60 by default. */
  clockTolerance?: number;
  /** `tokensmith` requires the claims of TokenSmith's tokens, `generic` those of any issuer. */
  profile?: 'tokensmith' | 'generic';
  /** What is required beyond the profile. */
  require?: {
    /** The least `auth_level`, such as `IAL2`. */
    minAuthLevel?: string;
    /** The least `auth_factors`. */
    minFactors?: number;
    /** The longest time between `iat` and `exp`, in seconds. */
    maxLifetime?: number;
    /** Whether tokens have to be bound to their sender; a browser cannot show that they are. */
    senderConstrained?: boolean;
    /** Claims that have to be there. */
    claims?: string[];
  };
  /** How claims become a principal; by default roles are the claim `roles`. */
  principal?: {
    /** Claims whose strings are roles, without `prefix`; an array of names leads through objects. */
    roles?: readonly { claim: string | readonly string[]; prefix?: string }[];
    /** The claim with the caller's groups; `groups` by default. */
    groups?: string | readonly string[];
    /** Roles by group. */
    groupRoles?: Readonly<Record<string, readonly string[]>>;
    /** Clients (`azp`, else `client_id`) whose tokens are a service's own. */
    serviceClients?: readonly string[];
    /** What a caller is called in policy rules; `['role']` by default. */
    subjects?: readonly ('role' | 'user' | 'service' | 'group' | 'scope')[];
  };
  /** Used instead of the global `fetch`. */
  fetch?: typeof fetch;
}

export interface Verifier {
  /**
   * Verifies signature and claims.
   * @throws {VerifierError} with a stable `code`.
   */
  verify(token: string, options?: { currentDate?: Date }): Promise<VerifiedToken>;
}

/** Why a token was refused, or could not be checked. */
export class VerifierError extends Error {
  readonly name: 'VerifierError';
  /** Stable, such as `token_expired`, `signature_invalid`, `kid_unknown`. */
  readonly code: string;
}

/**
 * Shows what is in a token. Nothing is verified: never decide by it.
 * @throws {VerifierError}
 */
export function decode(token: string): Promise<DecodedToken>;

/**
 * Makes a verifier for the tokens of one issuer. Keep it: it keeps the keys.
 * @throws {VerifierError} `bad_options`.
 */
export function createVerifier(options: VerifierOptions): Promise<Verifier>;
