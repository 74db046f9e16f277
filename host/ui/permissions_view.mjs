import { byId, code, element, say, sentence, table } from './elements.mjs';
import { DECISIONS, decisionClass, deciding, row } from './policy_rows.mjs';

// More are of no use to a reader: the filter finds the others.
const MOST_ROWS = 200;
// How long the page may do nothing but explain.
const BUSY_MS = 40;

let current;
let turn = 0;

/** Shows what a verified caller may do by a policy. */
export function showPermissions(policy, principal) {
  let all;
  try {
    all = policy.table(principal);
  } catch (error) {
    // A policy with domains, say, has no table of objects and actions.
    return noPermissions(`There is no table: ${sentence(error.message)}`);
  }
  const { objects, actions, decisions } = all;
  current = {
    policy,
    principal,
    cells: objects.flatMap((object, at) => actions.map((action, on) => (
      { object, action, decision: decisions[at][on] }))),
  };
  say(byId('permissions-note'), '', 'By the policy in use, decided in this page.');
  byId('permissions-body').hidden = false;
  return render();
}

/** Shows why there is nothing to show. */
export function noPermissions(reason) {
  current = undefined;
  turn += 1;
  say(byId('permissions-note'), '', reason);
  byId('permissions-body').hidden = true;
}

export function listenForFilters() {
  byId('permissions-filter').addEventListener('input', render);
  byId('permissions-show').addEventListener('change', render);
}

async function render() {
  turn += 1;
  const own = turn;
  const wanted = byId('permissions-filter').value.trim().toLowerCase();
  const show = byId('permissions-show').value;
  const { cells, policy, principal } = current;
  const found = cells.filter(({ object, action, decision }) =>
    (show === 'all' || (show === 'allow') === (decision === 'allow'))
    && `${object} ${action}`.toLowerCase().includes(wanted));
  const shown = found.slice(0, MOST_ROWS);
  const rows = [];
  let rested = performance.now();
  for (const cell of shown) {
    rows.push(line(policy, principal, cell));
    if (performance.now() - rested > BUSY_MS) {
      await new Promise((resolve) => { setTimeout(resolve, 0); });
      if (own !== turn) return;
      rested = performance.now();
    }
  }
  const cut = found.length > shown.length ? `, the first ${shown.length} are shown` : '';
  say(byId('permissions-count'), '', `${found.length} of ${cells.length} combinations of object and action${cut}.`);
  byId('permissions').replaceChildren(rows.length === 0
    ? element('p', {}, 'None.')
    : table('What this caller may do', ['Object', 'Action', 'Decision', 'Row that decides'], rows));
}

function line(policy, principal, { object, action, decision }) {
  const found = deciding(policy.explain(principal, object, action));
  return [
    code(object),
    code(action),
    element('span', { class: decisionClass(decision) }, DECISIONS[decision]),
    found?.row ? row(found.row) : 'no row allows it',
  ];
}
