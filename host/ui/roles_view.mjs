import { byId, code, element, say, sayError, suggest } from './elements.mjs';

const IS_NAME = { member: true, role: true };

let policy;

/** Draws the roles of a policy, and again when another one is in use. */
export function drawRoles(next) {
  policy = next;
  try {
    const { nodes } = next.roleGraph();
    suggest(byId('subjects'), nodes.filter(({ kind }) => IS_NAME[kind]).map(({ name }) => name));
  } catch {
    // Too many to draw are too many to suggest; `draw` says so.
    suggest(byId('subjects'), []);
  }
  draw();
}

export function listenForDrawing() {
  byId('roles-form').addEventListener('submit', (event) => {
    event.preventDefault();
    draw();
  });
}

function draw() {
  const status = byId('roles-status');
  const subject = byId('roles-subject').value.trim();
  byId('roles').hidden = true;
  byId('roles-words').hidden = true;
  if (policy === undefined) return say(status, 'bad', 'The policy is not loaded: see below, under Service.');
  let graph;
  try {
    graph = policy.roleGraph(subject === '' ? undefined : subject);
  } catch (error) {
    return sayError(status, error);
  }
  const { nodes, edges, svg } = graph;
  const count = (own) => nodes.filter(({ kind }) => kind === own).length;
  say(status, '', `${count('member')} members, ${count('role')} roles, ${count('grant')} grants, `
    + `${count('denial')} denials.`);
  // As an image its styles are its own, and nothing in it runs.
  byId('roles').replaceChildren(element('img', {
    src: `data:image/svg+xml,${encodeURIComponent(svg)}`,
    alt: 'Roles and what they may do, from left to right; in words below.',
  }));
  byId('roles-list').replaceChildren(...edges.map(({ from, to, label }) => element(
    'li', {},
    code(nodes[from].name), IS_NAME[nodes[to].kind] ? ' has ' : ' may ', code(nodes[to].name),
    ...(label === '' ? [] : [` (${label})`]),
  )));
  byId('roles').hidden = false;
  byId('roles-words').hidden = false;
}
