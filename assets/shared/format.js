// Figures, places and dates as people read them.

// 12345 → "12 345", with thin spaces.
export const formatCount = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '\u2009');

// 1, 'hit' → "1 hit"; 2, 'hit' → "2 hits"; what does not just take an s is given as `many`.
export const plural = (n, one, many = `${one}s`) => `${formatCount(n)} ${n === 1 ? one : many}`;

export const formatScore = (value) => value.toFixed(2);

// Latitude first, as people and most map searches expect when pasting.
export const formatPlace = (lon, lat) => `${lat.toFixed(5)}, ${lon.toFixed(5)}`;

// The sides of a box in degrees, as metres or kilometres on the ground.
export function formatExtent([west, south, east, north]) {
  const metre = 111_195;
  const width = (east - west) * metre * Math.cos(((south + north) * Math.PI) / 360);
  const words = [width, (north - south) * metre].map((m) =>
    m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(1)} km`,
  );
  return words.join(' × ');
}

export const formatDay = (datetime) => (datetime ? datetime.slice(0, 10) : 'date unknown');

// A scene as lists name it.
export const formatScene = ({ title, datetime }) =>
  title + (datetime ? ` · ${datetime.slice(0, 10)}` : '');
