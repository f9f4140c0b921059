// What the Search page draws on its map: chip grid, cursor, filter, query, ranked results.
import { rankBadge } from '../map/badge.js';
import { gently } from '../map/base_map.js';
import { CYAN, NIGHT } from '../map/colours.js';
import { ring } from '../map/footprints.js';
import { outline } from '../map/outline.js';
import { h, icon } from '../shared/dom.js';
import { rankColour } from '../shared/ranks.js';
import { stopAll } from '../shared/stops.js';
import { chipGrid } from './chip_grid.js';

const MANY = 150; // from here on results are drawn on a canvas, not as one element each
const BADGES = 60; // more results than this carry no rank badge until pointed at
const WHITE = '#ffffff';

export function drawGrid(L, map, { store }) {
  let layer = null;
  return store.watch(['footprints', 'grid'], ({ footprints, grid }) => {
    layer?.remove();
    layer = footprints && grid ? chipGrid(L, footprints).addTo(map) : null;
  });
}

export function drawCursor(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['cursor', 'footprints'], ({ cursor, footprints }) => {
    group.clearLayers();
    if (cursor === null || !footprints) return;
    const corners = ring(footprints, cursor);
    group.addLayer(outline(L, corners, CYAN, 'lk-query', { weight: 1.5, fill: 0.12 }));
  });
}

// The polygon that results must lie in.
export function drawFilter(L, map, store) {
  const group = L.layerGroup().addTo(map);
  return store.watch(['filters'], ({ filters }) => {
    group.clearLayers();
    if (!filters.within) return;
    const still = { pane: 'lk-query', interactive: false };
    const style = { fill: false, lineJoin: 'round' };
    const dark = { ...style, color: NIGHT, weight: 5, opacity: 0.65 };
    const light = { ...style, color: '#f8fafc', weight: 2, dashArray: '7 5' };
    for (const line of [dark, light]) {
      group.addLayer(L.geoJSON(filters.within, { ...still, style: line }));
    }
  });
}

// The chip or box that was asked for, and the examples beside it.
export function drawQuery(L, map, store) {
  const group = L.layerGroup().addTo(map);
  const add = (corners, colour, look) => group.addLayer(outline(L, corners, colour, 'lk-query', look));
  const draw = ({ query, footprints, good, bad, examples }) => {
    group.clearLayers();
    if (!query || !footprints) return;
    for (const [ids, colour] of [
      [bad, '#e2e8f0'],
      [good, CYAN],
    ]) {
      for (const row of ids.map((id) => examples.get(id)?.row).filter(Number.isInteger)) {
        add(ring(footprints, row), colour, { weight: 2.5, fill: 0.06, dash: '5 4' });
      }
    }
    const look = { weight: 3.5, fill: 0.1 };
    if (Number.isInteger(query.row)) add(ring(footprints, query.row), CYAN, look);
    else if (query.box) add(frame(query), CYAN, look);
  };
  return store.watch(['query', 'footprints', 'good', 'bad', 'examples'], draw);
}

function frame({ corners, box: [west, south, east, north] }) {
  if (corners) return corners.map(([lon, lat]) => [lat, lon]);
  return [
    [north, west],
    [north, east],
    [south, east],
    [south, west],
  ];
}

export function drawHits(L, map, store) {
  const all = L.layerGroup().addTo(map);
  const marked = L.layerGroup().addTo(map);
  const canvas = L.canvas({ pane: 'lk-hits' });
  const draw = ({ shown, footprints, marks }) => {
    all.clearLayers();
    if (!footprints) return;
    const renderer = shown.length > MANY ? canvas : undefined;
    // Worst first, so that better results lie on top.
    for (const hit of [...shown].reverse()) {
      const colour = rankColour(hit.rank, shown.length);
      const dash = marks[hit.id] === 'bad' ? '3 6' : null;
      const look = { renderer, dash };
      all.addLayer(outline(L, shapeOf(hit, footprints), colour, 'lk-hits', look));
      if (shown.length <= BADGES) all.addLayer(badge(L, hit, colour, footprints, marks));
    }
  };
  const emphasise = ({ selected, hovered, shown, footprints, marks }) => {
    marked.clearLayers();
    if (!footprints) return;
    for (const index of new Set([hovered, selected])) {
      const hit = shown[index];
      if (!hit) continue;
      const weight = index === selected ? 4.5 : 3.5;
      const look = { weight, fill: 0 };
      marked.addLayer(outline(L, shapeOf(hit, footprints), WHITE, 'lk-hits', look));
      marked.addLayer(badge(L, hit, WHITE, footprints, marks));
    }
  };
  const follow = ({ selected, shown, footprints }) => {
    if (shown[selected] && footprints) reveal(L, map, ring(footprints, shown[selected].row));
  };
  const stops = [
    store.watch(['shown', 'footprints', 'marks'], draw),
    store.watch(['selected', 'hovered', 'shown', 'footprints', 'marks'], emphasise),
    store.watch(['selected'], follow),
  ];
  return () => stopAll(stops);
}

// A hit's footprint, or the one outline of a site's overlapping hits.
function shapeOf({ row, outline: site }, footprints) {
  if (!site) return ring(footprints, row);
  const polygons = site.type === 'MultiPolygon' ? site.coordinates : [site.coordinates];
  return polygons.map((rings) => rings.map((line) => line.map(([lon, lat]) => [lat, lon])));
}

function badge(L, { id, rank, row, count }, colour, footprints, marks) {
  const more = [];
  if (count > 1) more.push(h('span', { class: 'lk-times' }, `×${count}`));
  if (marks[id]) more.push(icon(marks[id]));
  const above = colour === WHITE ? 20_000 : 10_000 - rank;
  return rankBadge(L, ring(footprints, row)[0], rank, colour, above, ...more);
}

// Pans only when the chip lies outside the view: otherwise the map must not move.
export function reveal(L, map, corners) {
  const bounds = L.latLngBounds(corners);
  if (!map.getBounds().intersects(bounds)) map.panTo(bounds.getCenter(), gently());
}
