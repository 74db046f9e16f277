import { byId, code, element, facts, table } from './elements.mjs';
import { absolute, duration, time } from './times.mjs';

/** Shows what the service tells of itself; `bundle` is that of the policy that was loaded. */
export function showService(service, published, bundle) {
  const { policy, oidc } = service;
  facts(byId('service'), [
    ['Issuer', code(service.issuer)],
    ['Version', service.version],
    ['Running since', time(service.started_at)],
    ['Audiences', service.audiences.length === 0 ? 'none configured' : service.audiences.map((own) => code(own))],
    ['OpenID provider', oidc === null ? 'none' : code(oidc.issuer)],
    ['policy_version', element('code', { id: 'policy-version' }, policy.version)],
    ['Policy loaded', time(policy.loaded_at)],
    ...(policy.refused ? [['Policy files', 'hold another policy, which was refused: see the service’s log']] : []),
    ...(bundle === undefined ? [] : [
      ['Signed policy', `number ${bundle.sequence}`],
      ['Signed policy good until', time(bundle.expires.getTime() / 1000)],
    ]),
    ['Keys in the JWK set', String(published.length)],
  ]);
  byId('keys').replaceChildren(table(
    'Signing keys', ['kid', 'Algorithm', 'State', 'Published', 'Changes'],
    service.keys.map((key) => [
      code(key.kid),
      key.alg,
      key.signs ? 'signs' : state(key, service.now),
      age(key, service.now),
      key.until === null ? '' : time(key.until),
    ]),
  ));
}

/** When the service was asked last. */
export const asked = () => `As of ${absolute(Date.now() / 1000)}; asked again every 15 seconds.`;

function state(key, now) {
  const waits = key.signs_from !== null && key.signs_from > now;
  return waits ? 'published, does not sign yet' : 'published for tokens it signed';
}

// Nothing says when a key of a file was made.
function age({ published }, now) {
  if (published === null) return 'not known';
  const old = Math.max(0, now - published);
  return element('span', {}, time(published), ` (${duration(old)} old)`);
}
