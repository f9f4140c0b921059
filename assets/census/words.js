// A report in words, and the numbers of its bar.
import { formatCount, plural } from '../shared/format.js';

export const percent = (share) => `${+(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;

// About how long, as people say it.
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  return `${+(seconds / 3600).toFixed(1)} h`;
}

// Below the total: where it lies for certain enough.
export function intervalWords({ estimate, low, high, exact, confidence }) {
  if (estimate === null) return '';
  if (exact) return 'Every unit is judged: this is a count, not an estimate.';
  return `${percent(confidence)} interval: ${formatCount(low)} to ${formatCount(high)}`;
}

// What is left to do for the wanted error.
export function leftWords({ judged, units, left, seconds_left: seconds, error, exact }) {
  const done = `${formatCount(judged)} of ${plural(units, 'unit')} judged`;
  if (exact || judged >= units) return `${done}.`;
  if (left === null) return `${done}.`;
  if (!left) return `${done}. The wanted ±${percent(error)} is reached; judging more narrows it further.`;
  const time = seconds ? `, ${duration(seconds)} at this pace` : '';
  return `${done}. About ${formatCount(left)} more for ±${percent(error)}${time}.`;
}

// A share with its interval.
export function shareWords(value, low, high) {
  if (value === null) return 'not known yet';
  if (low === null || high === null) return percent(value);
  return `${percent(value)} (${percent(low)} to ${percent(high)})`;
}

export function stopWords({ reached, recall, confidence, p, seen, random }) {
  const rule = `${percent(recall)} of the units with something in them seen, with ${percent(confidence)} confidence`;
  if (reached) return `Reached: ${rule}. If you want to see every one, you may stop here.`;
  if (!seen || !random) return `Not reached: ${rule}.`;
  return `Not reached: ${rule} (p = ${p.toFixed(2)} after ${plural(random, 'random unit')}).`;
}

export function agreementWords({ double, same, kappa, lean }) {
  const known = kappa === null ? '' : `, κ = ${kappa.toFixed(2)}`;
  const leans = lean ? `; their totals differ by ${percent(2 * Math.abs(lean))}` : '';
  return `Two reviewers judged ${plural(double, 'unit')}: the same count in ${percent(same)}${known}${leans}.`;
}

// Where interval and estimate lie on a bar that begins at 0, in percent of its width.
export function barOf({ estimate, low, high }) {
  const most = high > 0 ? high * 1.15 : 1;
  const at = (value) => (100 * value) / most;
  return { left: at(low), width: at(high - low), middle: at(estimate) };
}

// What an answer says.
export function answerWords(answer) {
  if (answer === null) return 'cannot tell';
  const count = Array.isArray(answer) ? answer.length : answer;
  return count ? formatCount(count) : 'none';
}

export const imageryOf = (date) => (date ? `imagery of ${date}` : 'imagery date unknown');
