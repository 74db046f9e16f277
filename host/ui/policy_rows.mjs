// Rows of a policy, and how they decide, in words.

import { code, element } from './elements.mjs';

export const rowText = ({ kind, values }) => [kind, ...values].join(', ');

export const rowPlace = ({ source, line }) => `${source}:${line}`;

/** A row with its place and the roles that lead to it. */
export function row(own) {
  const ways = own.roles.filter((path) => path.length > 1);
  return element(
    'div', {},
    element('p', {}, code(rowText(own))),
    element('p', { class: 'hint' }, rowPlace(own), ...ways.map((path) => `, through ${path.join(' → ')}`)),
  );
}

/** The subject of an explanation that decides, with its row. */
export function deciding({ subjects }) {
  const decisive = subjects
    .filter((own) => own.rows !== undefined)
    .map((own) => ({ ...own, row: own.rows.find((row) => row.decisive) }));
  return decisive.find((own) => own.allowed) ?? decisive.find((own) => own.row !== undefined);
}

/** What a decision is called. */
export const DECISIONS = {
  allow: 'allowed',
  deny: 'denied',
  indeterminate: 'no answer',
  error: 'error',
};

export const decisionClass = (decision) => (decision === 'allow' ? 'allow' : 'deny');
