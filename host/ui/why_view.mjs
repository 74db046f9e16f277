import { byId, code, element, say, sayError, suggest, table } from './elements.mjs';
import { DECISIONS, deciding, row, rowText, rowPlace } from './policy_rows.mjs';

const MOST_NEAR = 20;
const WORDS = {
  object: {
    object: 'Object',
    action: 'Action',
    hint: 'As the policy’s rows name them.',
  },
  path: {
    object: 'Path',
    action: 'Method',
    hint: 'A proxy whose default route is `path_method` asks for the path as object and the method as action. '
      + 'Where its routes name an object and an action, ask for those.',
  },
};

let policy;
let principal;

/** From now on questions are about this policy. */
export function explainBy(next) {
  policy = next;
  const { objects, actions } = names(next);
  suggest(byId('objects'), objects);
  suggest(byId('actions'), actions);
}

/** What may be asked about, to suggest it. */
function names(next) {
  try {
    // Whoever it is for, the table has every object and action of the rows.
    return next.table('nobody');
  } catch {
    return { objects: [], actions: [] };
  }
}

/** The verified caller that may be asked about, or none. */
export function explainFor(next) {
  principal = next;
  const [subject, own] = document.getElementsByName('who');
  own.disabled = next === undefined;
  subject.checked = next === undefined;
  own.checked = next !== undefined;
  showSubject();
}

export function listenForQuestions() {
  byId('why-form').addEventListener('submit', (event) => {
    event.preventDefault();
    answer();
  });
  for (const own of document.getElementsByName('who')) own.addEventListener('change', showSubject);
  for (const own of document.getElementsByName('what')) own.addEventListener('change', showWords);
  showSubject();
}

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;

function showSubject() {
  const asked = chosen('who') === 'subject';
  byId('subject-field').hidden = !asked;
  byId('subject').required = asked;
}

function showWords() {
  const words = WORDS[chosen('what')];
  byId('object-label').textContent = words.object;
  byId('action-label').textContent = words.action;
  byId('what-hint').replaceChildren(...words.hint.split('`').map((part, index) =>
    (index % 2 === 1 ? code(part) : part)));
}

function answer() {
  const status = byId('why-status');
  byId('why').hidden = true;
  if (policy === undefined) return say(status, 'bad', 'The policy is not loaded: see below, under Service.');
  const who = chosen('who') === 'principal' ? principal : byId('subject').value.trim();
  const object = byId('object').value.trim();
  const action = byId('action').value.trim();
  try {
    const explanation = policy.explain(who, object, action);
    const decided = DECISIONS[explanation.decision];
    say(status, explanation.decision === 'allow' ? 'good' : 'bad',
      `${decided[0].toUpperCase()}${decided.slice(1)}: `, code(action), ' on ', code(object), '. ',
      ...reason(explanation));
    const { subjects } = explanation;
    byId('why').replaceChildren(...subjects.flatMap(subjectParts));
    byId('why').hidden = subjects.length === 0;
  } catch (error) {
    sayError(status, error);
  }
}

function reason(explanation) {
  if (explanation.subjects.length === 0) return ['The caller has no role, and so is nobody to the policy.'];
  const found = deciding(explanation);
  if (found?.row === undefined) return ['No row allows it.'];
  return ['By the row ', code(rowText(found.row)), ` (${rowPlace(found.row)}).`];
}

function subjectParts(own) {
  const title = (text) => element('h3', {}, code(own.subject), `: ${text}`);
  if (own.error !== undefined) {
    return [title('error'), element('p', {}, code(own.error.code), `: ${own.error.message}`)];
  }
  const parts = [title(own.allowed ? 'allowed' : 'denied')];
  if (own.rows.length === 0) {
    parts.push(element('p', {}, 'No row matches, and so the effect ', code(own.effect), ' denies.'));
  } else {
    parts.push(scroll(table(
      `Rows that match for ${own.subject}`, ['Row', 'Effect', 'Decides'],
      own.rows.map((match) => [row(match), match.deny ? 'deny' : 'allow', match.decisive ? 'yes' : 'no']),
    ), `Rows that match for ${own.subject}`));
  }
  if (!own.allowed && own.nearMisses.length > 0) parts.push(...near(own));
  return parts;
}

function near({ subject, nearMisses }) {
  const rows = nearMisses.slice(0, MOST_NEAR).map((miss) => [
    row(miss.row),
    element('p', {}, code(miss.field), ' is ', code(miss.value),
      ...(miss.request === null ? [] : [', not ', code(miss.request)])),
  ]);
  const more = nearMisses.length - rows.length;
  const caption = `Rows that would allow ${subject} but for one value`;
  return [
    element('p', {}, element('strong', {}, 'Near misses'), ': rows that would allow it but for one value.'),
    scroll(table(caption, ['Row', 'But'], rows), caption),
    ...(more > 0 ? [element('p', { class: 'hint' }, `And ${more} more.`)] : []),
  ];
}

const scroll = (child, label) =>
  element('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': label }, child);
