// A place as latitude and longitude, which a click copies.
import { copyText, h, icon } from './dom.js';
import { formatPlace } from './format.js';
import { later } from './idle.js';

export function coordinates({ lon, lat }) {
  const place = formatPlace(lon, lat);
  const words = h('span', {}, place);
  const copy = async () => {
    await copyText(place);
    words.textContent = 'Copied';
    later('label reset', 900, () => (words.textContent = place));
  };
  return h(
    'button',
    {
      class: 'lk-copy',
      type: 'button',
      title: 'Copy latitude and longitude',
      'aria-label': `Copy ${place}`,
      onclick: copy,
    },
    words,
    icon('copy'),
  );
}
