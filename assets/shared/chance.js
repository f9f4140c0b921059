// What a score means: how many chips or windows would score as high by chance.
import { formatCount, plural } from './format.js';

const NEVER = 0.001;

// In a few words, for a card; empty where it is unknown.
export function chanceWords(number) {
  if (number === null || number === undefined) return '';
  if (number < NEVER) return 'not by chance';
  const searches = Math.round(1 / number);
  if (searches > 1) return `by chance 1 in ${formatCount(searches)}`;
  return `${formatCount(Math.round(number))} by chance`;
}

// As a sentence, for a title.
export function chanceSentence(number, noun = 'chip') {
  if (number === null || number === undefined) return '';
  if (number < NEVER) return `No ${noun} would score this high by chance.`;
  const searches = Math.round(1 / number);
  if (searches > 1) return `By chance, 1 in ${formatCount(searches)} searches would have a ${noun} that scores this high.`;
  return `By chance, about ${plural(Math.round(number), noun)} would score this high.`;
}
