import { element } from './elements.mjs';

const UNITS = [
  ['year', 365 * 24 * 3600],
  ['month', 30 * 24 * 3600],
  ['day', 24 * 3600],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** Unix seconds as a date and time in UTC, or nothing where no calendar has that. */
export function absolute(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  return `${date.toISOString().slice(0, -5).replace('T', ' ')} UTC`;
}

/** How far Unix seconds are from `now`, in the largest unit that fits twice, as `in 90 minutes`. */
export function relative(seconds, now) {
  const away = seconds - now;
  const size = Math.abs(away);
  if (size < 1) return 'now';
  const [unit, length] = UNITS.find(([, length]) => size >= 2 * length) ?? UNITS.at(-1);
  return RELATIVE.format(Math.trunc(away / length), unit);
}

/** The length of a time, as `90 minutes`. */
export const duration = (seconds) => relative(seconds, 0).replace('in ', '');

export const unixNow = () => Date.now() / 1000;

/** A time, absolute and relative; [`keepRelative`] keeps the latter right. */
export function time(seconds) {
  const text = absolute(seconds);
  if (text === undefined) return element('span', {}, String(seconds));
  const datetime = new Date(seconds * 1000).toISOString();
  return element(
    'span', {},
    element('time', { datetime }, text),
    ', ',
    element('span', { 'data-at': seconds }, relative(seconds, unixNow())),
  );
}

/** Brings every relative time of the page up to date, each second. */
export function keepRelative() {
  setInterval(() => {
    for (const own of document.querySelectorAll('[data-at]')) {
      const text = relative(Number(own.dataset.at), unixNow());
      if (own.textContent !== text) own.textContent = text;
    }
  }, 1000);
}
