import { formatCount } from './format.js';

export function missingHits(number) {
  if (number === 1) return '1 hit is missing: its chip is no longer in the collection.';
  return `${formatCount(number)} hits are missing: their chips are no longer in the collection.`;
}
