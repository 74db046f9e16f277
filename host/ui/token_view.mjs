import { claimMeaning, headerMeaning, isTime, shown } from './claims.mjs';
import { byId, code, element, facts, sentence, table } from './elements.mjs';
import { time } from './times.mjs';
import { steps } from './verification.mjs';

const STATES = { pass: '✓ passed', fail: '✗ refused', open: '– not reached' };

/** Shows a token's header and claims, nothing of it believed. */
export function showDecoded({ header, claims }) {
  byId('header').replaceChildren(members('Header', header, headerMeaning));
  byId('payload').replaceChildren(members('Claims', claims, claimMeaning));
  byId('claims-section').hidden = false;
}

/** Shows the steps of a verification that ended with `error`, or well. */
export function showSteps(error, against) {
  byId('steps-hint').replaceChildren(...against);
  byId('steps').replaceChildren(...steps(error).map((step) => element(
    'li', { class: step.state, 'data-step': step.id },
    element('p', { class: 'mark' }, STATES[step.state]),
    element(
      'div', {},
      element('p', {}, element('strong', {}, step.name), '. ', ...inCode(step.meaning), '.'),
      step.error && element('p', {}, code(step.error.code), ': ', ...inCode(sentence(step.error.message))),
    ),
  )));
  byId('steps-section').hidden = false;
}

/** Shows who a verified token makes the caller. */
export function showPrincipal({ id, type, roles, scopes }) {
  facts(byId('principal'), [
    ['Caller', code(id)],
    ['Kind', type],
    ['Roles', list(roles, 'none: rules for roles allow this caller nothing')],
    ['Scopes', list(scopes, 'none')],
  ]);
  byId('principal-section').hidden = false;
}

export function hideToken() {
  for (const id of ['steps-section', 'claims-section', 'principal-section']) byId(id).hidden = true;
}

function members(caption, all, meaning) {
  const rows = Object.entries(all).map(([name, value]) => [
    code(name),
    isTime(name, value) ? time(value) : element('span', { class: 'value' }, shown(value)),
    meaning(name),
  ]);
  if (rows.length === 0) return element('p', {}, 'There is nothing in it.');
  return table(caption, ['Name', 'Value', 'Meaning'], rows);
}

function list(names, none) {
  if (names.length === 0) return none;
  return names.flatMap((name, index) => (index === 0 ? [code(name)] : [' ', code(name)]));
}

/** Text whose parts in backticks are code. */
function inCode(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? code(part) : part));
}
