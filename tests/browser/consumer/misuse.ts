// What the types refuse. An error that is expected and does not come is an error.
import { createVerifier, decode, VerifierError, type Principal } from '@tokensmith/verifier';
import { loadPolicy } from '@tokensmith/verifier/policy';

export async function misuse(token: string): Promise<void> {
  const policy = await loadPolicy({ baseline: true });
  const decoded = await decode(token);
  // @ts-expect-error nothing in a decoded token is verified
  policy.can(decoded, 'nodes', 'read');
  // @ts-expect-error neither are its claims
  policy.can(decoded.claims, 'nodes', 'read');
  // @ts-expect-error a principal cannot be written down
  const made: Principal = { id: 'root', type: 'user', roles: ['admin'], scopes: [] };
  // @ts-expect-error a name is good enough to explain, not to decide
  policy.can('role:admin', 'nodes', 'read');
  // @ts-expect-error neither `issuer` nor `issuers`
  await createVerifier({ audience: 'svc', jwksUri: 'https://issuer.test/jwks' });
  // @ts-expect-error both
  await createVerifier({ issuer: 'a', audience: 'b', issuers: [] });
  // @ts-expect-error a bundle needs its issuer
  await loadPolicy('bundle', { jwksUri: 'https://issuer.test/jwks' });
  // @ts-expect-error errors are made by the package
  throw new VerifierError('code', String(made));
}
