import type { JwkSet, Principal } from './index.js';

export { VerifierError } from './index.js';

/** Casbin model and rules, believed because of where they come from. */
export interface PolicyTexts {
  /** A Casbin model. */
  model: string;
  /** Rules as CSV; several texts count together. */
  rules: string | readonly { name: string; text: string }[];
  /** By role relation (`g`, `g2`) the function that names are patterns of, such as `keyMatch2`. */
  roleMatching?: Readonly<Record<string, string>>;
  /** By role relation the function that domains are patterns of. */
  domainMatching?: Readonly<Record<string, string>>;
}

/** What was opened last of an issuer: without it an older bundle would be good as well. */
export interface BundleState {
  readonly sequence: number;
  readonly digest: string | null;
}

export interface BundleOptions {
  /** The exact `iss` of the bundle. */
  issuer: string;
  /** The issuer's keys. Either these or `jwksUri`. */
  jwks?: JwkSet;
  /** Where the issuer publishes its keys. */
  jwksUri?: string;
  /** `bundle.state` of the policy that was loaded before. */
  state?: BundleState | null;
  /** What time it is, instead of the platform's clock. */
  currentDate?: Date;
  /** Used instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** Ends the waiting. */
  signal?: AbortSignal;
}

export interface BundleFacts {
  readonly sequence: number;
  /** From when on the bundle would not be loaded. A policy in use does not end with it. */
  readonly expires: Date;
  /** SHA-256 of the payload in hex. */
  readonly digest: string;
  /** What to keep for the next `loadPolicy`. */
  readonly state: BundleState;
}

/** Only `allow` lets anybody do anything. `indeterminate`: no id, subject, object or action. */
export type Decision = 'allow' | 'deny' | 'indeterminate' | 'error';

export interface ExplainedRow {
  /** `p`, `p2`... */
  readonly kind: string;
  readonly values: readonly string[];
  readonly deny: boolean;
  readonly source: string;
  readonly line: number;
  /** Whether the answer is this row's. */
  readonly decisive: boolean;
  /** For each role asked for: the names from the subject's to the row's. */
  readonly roles: readonly (readonly string[])[];
}

/** A row that would allow but for one value. */
export interface NearMiss {
  readonly row: ExplainedRow;
  readonly field: string;
  readonly value: string;
  readonly request: string | null;
}

export type SubjectExplanation =
  | {
      readonly subject: string;
      readonly allowed: boolean;
      /** How rows decide, as `allow-override`. */
      readonly effect: string;
      readonly rows: readonly ExplainedRow[];
      readonly nearMisses: readonly NearMiss[];
      readonly error?: undefined;
    }
  | { readonly subject: string; readonly error: { readonly code: string; readonly message: string } };

export interface Explanation {
  readonly decision: Decision;
  readonly subjects: readonly SubjectExplanation[];
}

export interface Grant {
  readonly subject: string;
  /** The subject first, the name in the row last. */
  readonly path: readonly string[];
  readonly row: ExplainedRow | null;
}

/** Every object and action that the policy names; patterns stand as they are written. */
export interface PermissionTable {
  readonly objects: readonly string[];
  readonly actions: readonly string[];
  /** For each object, for each action. */
  readonly decisions: readonly (readonly Decision[])[];
}

export interface RoleGraph {
  readonly nodes: readonly { readonly name: string; readonly kind: 'member' | 'role' | 'grant' | 'denial' }[];
  /** Positions among the nodes. */
  readonly edges: readonly { readonly from: number; readonly to: number; readonly label: string }[];
  readonly mermaid: string;
  readonly svg: string;
}

export interface Policy {
  /** As `v2:` and a hash: policies that mean the same have the same. */
  readonly version: string;
  /** What a signed bundle said of itself. */
  readonly bundle?: BundleFacts;
  /**
   * Whether the principal may do `action` on `object`: for what a page shows. What counts is
   * decided where the request arrives.
   * @throws {VerifierError} `principal_unverified`.
   */
  can(principal: Principal, object: string, action: string): boolean;
  /** As `can`, by its name. */
  decide(principal: Principal, object: string, action: string): Decision;
  /** Why. A string is one subject, such as `role:viewer`. */
  explain(who: Principal | string, object: string, action: string): Explanation;
  /** The subjects that the policy names and allows `action` on `object`. */
  whoCan(object: string, action: string): readonly Grant[];
  /** What somebody may do. A string is one subject, such as `role:viewer`. */
  table(who: Principal | string): PermissionTable;
  /** Who has which roles, and what they may do; of one subject only, when it is named. */
  roleGraph(subject?: string): RoleGraph;
  /** Gives the policy's memory back at once, not when it is collected. */
  free(): void;
}

/**
 * Verifies and compiles a signed bundle.
 * @throws {VerifierError} with a stable `code`.
 */
export function loadPolicy(bundle: string, options: BundleOptions): Promise<Policy>;
/**
 * Compiles texts, or the baseline.
 * @throws {VerifierError} with a stable `code`.
 */
export function loadPolicy(texts: PolicyTexts | { readonly baseline: true }): Promise<Policy>;
