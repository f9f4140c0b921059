import { formatCount } from './format.js';

export function missingHits(number) {
  if (number === 1) return 'One hit is gone: its chip is no longer in the collection.';
  return `${formatCount(number)} hits are gone: their chips are no longer in the collection.`;
}
