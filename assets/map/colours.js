// Colours of what is drawn on the map; `shared/tokens.css` has the same for the rest of the page.
export const CYAN = '#22d3ee'; // the query, and whatever a person draws
export const NIGHT = '#0b1220'; // under bright lines, so that they stand out from any ground
export const DRAWN = { color: CYAN, weight: 3, fillColor: CYAN, fillOpacity: 0.1 };
