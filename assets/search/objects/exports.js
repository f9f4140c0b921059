// What leaves object search as a file: the objects in a format, and the score map.
import { download } from '../../shared/download.js';

export const FORMATS = [
  ['gpkg', 'GeoPackage'],
  ['geojson', 'GeoJSON'],
  ['shapefile', 'Shapefile'],
  ['kmz', 'KML with pictures'],
  ['csv', 'CSV'],
  ['geoparquet', 'GeoParquet'],
  ['chips', 'Pictures'],
  ['html', 'Standalone map'],
  ['coco', 'COCO JSON of good marks'],
];

export function createObjectExports({ store, service, data, recipe }) {
  const { state, set } = store;

  async function save(fetched, name) {
    set({ busy: 'Exporting', problem: null });
    try {
      const file = await fetched();
      const named = /filename="?([^";]+)/.exec(file.headers.get('Content-Disposition') || '');
      download(await file.blob(), named?.[1] ?? `${data.collection.name}-${name}`);
    } catch (problem) {
      set({ problem });
    } finally {
      set({ busy: '' });
    }
  }

  return {
    // Outlines are those at the minimum score; without one, windows.
    // `marks` are those of the objects wanted: good, bad, skip and none; empty for all.
    exportAs(format, geometry, marks = []) {
      const threshold = state.minScore || null;
      const { saved } = state;
      const what = { format, geometry };
      const only = marks.length ? { only_marks: marks } : {};
      return save(
        () =>
          saved
            ? service.savedFile(saved.id, { ...what, min: threshold ?? '', marks: marks.join() })
            : service.file({ ...recipe(), ...what, ...only, threshold, outlines: threshold !== null }),
        'objects',
      );
    },
    exportScoreMap: () =>
      save(() => service.scoreMapFile(state.answer.score_map, state.minScore), 'scores'),
  };
}
