// Who may import whom: every page's folder from `map` and `shared`, `map` from `shared`, in no circle.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const ASSETS = fileURLToPath(new URL('../../assets', import.meta.url));
const PAGES = ['area', 'census', 'changes', 'results', 'search', 'space'];
const IMPORT = /^(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

const folders = readdirSync(ASSETS).filter(
  (name) => name !== 'vendor' && statSync(join(ASSETS, name)).isDirectory(),
);
const modules = folders.flatMap((folder) =>
  readdirSync(join(ASSETS, folder), { recursive: true })
    .filter((name) => name.endsWith('.js'))
    .map((name) => `${folder}/${name.split(sep).join('/')}`),
);

// The modules that one of these names, by their paths in assets/.
function importsOf(text, module) {
  return [...text.matchAll(IMPORT)].map(([, from, dynamic]) =>
    relative(ASSETS, join(ASSETS, dirname(module), from ?? dynamic)).split(sep).join('/'),
  );
}

const imports = new Map(
  modules.map((module) => [module, importsOf(readFileSync(join(ASSETS, module), 'utf8'), module)]),
);

// A way from a module back to itself, if there is one.
function circleOf(graph) {
  const done = new Set();
  const visit = (module, way) => {
    if (way.includes(module)) return [...way.slice(way.indexOf(module)), module];
    if (done.has(module)) return null;
    for (const next of graph.get(module) ?? []) {
      const circle = visit(next, [...way, module]);
      if (circle) return circle;
    }
    done.add(module);
    return null;
  };
  for (const module of graph.keys()) {
    const circle = visit(module, []);
    if (circle) return circle;
  }
  return null;
}

const folderOf = (module) => module.split('/')[0];

// Folders to the right import from those to their left, or from themselves.
const allowed = (from, to) =>
  from === to || to === 'shared' || (to === 'map' && PAGES.includes(from));

test('each kind of import is read', () => {
  const text = `import { a } from './a.js';
import {
  b,
} from '../map/b.js';
import './c.js';
export { d } from "./d.js";
const e = () => import('./e.js');
// it comes from 'nowhere.js'
`;
  const all = ['x/a.js', 'map/b.js', 'x/c.js', 'x/d.js', 'x/e.js'];
  assert.deepEqual(importsOf(text, 'x/module.js'), all);
});

test('a circle is found', () => {
  const graph = new Map([['a', ['b']], ['b', ['c']], ['c', ['b']]]);
  assert.deepEqual(circleOf(graph), ['b', 'c', 'b']);
});

test('every module that is imported is there', () => {
  assert.ok(modules.length > 40);
  const absent = [...imports].flatMap(([module, all]) =>
    all.filter((other) => !imports.has(other)).map((other) => `${module} → ${other}`),
  );
  assert.deepEqual(absent, []);
});

test('no module imports itself by way of others', () => {
  assert.equal(circleOf(imports), null);
});

test('pages share what lies in map and shared, and nothing of one another', () => {
  assert.deepEqual([...folders].sort(), [...PAGES, 'map', 'shared'].sort());
  const astray = [...imports].flatMap(([module, all]) =>
    all
      .filter((other) => !allowed(folderOf(module), folderOf(other)))
      .map((other) => `${module} → ${other}`),
  );
  assert.deepEqual(astray, []);
});
