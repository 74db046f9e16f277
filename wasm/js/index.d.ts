declare const verified: unique symbol;

/** A token's header and claims as they are written in it. Anyone can write anything there. */
export interface UnverifiedToken {
  readonly verified: false;
  readonly header: Record<string, unknown>;
  readonly claims: Record<string, unknown>;
}

/**
 * Who a verified token makes the caller. Only `verify` and a job's `finish` make one: a look-alike
 * is refused, by the compiler and when it is used.
 */
export interface Principal {
  readonly [verified]: true;
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

/** A JWK set. */
export interface JwkSet {
  keys: readonly unknown[];
}

export interface IssuerOptions {
  /** The exact `iss`. */
  issuer: string;
  /** `aud` must have one of these. */
  audience: string | readonly string[];
  /** Where the issuer publishes its keys; fetched when needed. Either this or `jwks`. */
  jwksUri?: string;
  /** The issuer's keys. */
  jwks?: JwkSet;
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
    claims?: readonly string[];
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
}

/** Fetched keys as JSON. Keep them only where nobody else can write: they say who is believed. */
export interface ExportedKeys {
  readonly version: number;
  readonly keys: readonly unknown[];
}

export interface SharedOptions {
  /** Used instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** What time it is, instead of the platform's clock. */
  clock?: () => Date;
  /** How many verified tokens are remembered, 0 to 100,000; 1,000 by default. */
  cache?: number;
  /** What `exportKeys` of another verifier gave. Keys older than an hour are left aside. */
  jwksCache?: ExportedKeys | null;
}

/** One issuer, or several, each with keys and rules of its own. */
export type VerifierOptions = SharedOptions &
  ((IssuerOptions & { issuers?: undefined }) | { issuers: readonly IssuerOptions[] });

export interface VerifyOptions {
  /** What time it is for this call. */
  currentDate?: Date;
  /** Ends the waiting of this call; a fetch under way goes on for the others. */
  signal?: AbortSignal;
}

/** A signature to check by other means than WebCrypto's. */
export interface SignatureJob {
  /** As in a JWS header, such as `ES256`. */
  readonly alg: string;
  /** The public key; it fits `alg`. */
  readonly jwk: JsonWebKey;
  /** The signed bytes. */
  readonly message: Uint8Array;
  /** The signature; for ECDSA r || s. */
  readonly signature: Uint8Array;
  /**
   * Takes the answer and checks the claims; once.
   * @throws {VerifierError} with a stable `code`.
   */
  finish(valid: boolean): VerifiedToken;
}

export interface Verifier {
  /**
   * Verifies signature and claims. A token that was verified a short while ago is remembered.
   * @throws {VerifierError} with a stable `code`; the signal's reason when it is aborted.
   */
  verify(token: string, options?: VerifyOptions): Promise<VerifiedToken>;
  /**
   * Does everything but the signature check and the claim checks; nothing is remembered.
   * @throws {VerifierError} with a stable `code`; the signal's reason when it is aborted.
   */
  begin(token: string, options?: VerifyOptions): Promise<SignatureJob>;
  /** The keys that were fetched, for `jwksCache` of a verifier in another page or worker. */
  exportKeys(): ExportedKeys;
}

/** Why a token or policy was refused, or could not be checked. */
export class VerifierError extends Error {
  private constructor();
  readonly name: 'VerifierError';
  /** Stable, such as `token_expired`, `signature_invalid`, `kid_unknown`. */
  readonly code: string;
}

/**
 * Shows what is in a token. Nothing is verified: never decide by it.
 * @throws {VerifierError}
 */
export function decode(token: string): Promise<UnverifiedToken>;

/**
 * Makes a verifier. Keep it: it keeps the keys.
 * @throws {VerifierError} `bad_options`.
 */
export function createVerifier(options: VerifierOptions): Promise<Verifier>;
