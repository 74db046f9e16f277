// Elements are made of text, never of markup: what a token or policy says is shown, not run.

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children, which are elements or text. */
export function element(name, attributes = {}, ...children) {
  const own = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) own.setAttribute(attribute, value);
  own.append(...children.filter((child) => child !== undefined));
  return own;
}

export const code = (text) => element('code', {}, text);

/** A table; `heads` are texts and each row is an array of cells, the first of which names it. */
export function table(caption, heads, rows) {
  const head = element('tr', {}, ...heads.map((text) => element('th', { scope: 'col' }, text)));
  const body = rows.map(([first, ...others]) =>
    element('tr', {}, element('th', { scope: 'row' }, first), ...others.map((cell) => element('td', {}, cell))));
  return element(
    'table', { 'aria-label': caption },
    element('thead', {}, head),
    element('tbody', {}, ...body),
  );
}

/** Names and values for a description list. */
export function facts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) =>
    [element('dt', {}, name), element('dd', {}, ...[value].flat())]));
}

/** A message in a live region: `good`, `bad` or plain. */
export function say(region, kind, ...parts) {
  region.classList.toggle('good', kind === 'good');
  region.classList.toggle('bad', kind === 'bad');
  region.replaceChildren(...parts);
}

/** What went wrong, with its stable code where it has one. */
export function sayError(region, error) {
  const parts = error.code === undefined ? [] : [code(error.code), ': '];
  say(region, 'bad', ...parts, sentence(error.message ?? String(error)));
}

/** Messages are lower-case without a stop. */
export function sentence(message) {
  return /[.!?]$/.test(message) ? message : `${message}.`;
}

/** Replaces the options of a list of suggestions. */
export function suggest(list, values) {
  list.replaceChildren(...values.map((value) => element('option', { value })));
}
