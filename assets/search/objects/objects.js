// Object search on the Search page: one click on a thing, and every thing like it is on the map.
import { createAuthor } from '../../shared/author.js';
import { expose } from '../../shared/idle.js';
import { createStore } from '../../shared/store.js';
import { createFilters } from '../filters.js';
import { createHelp } from '../help.js';
import { createMenus } from '../menus.js';
import { createObjectActions, FIRST } from './actions.js';
import { createObjectControls } from './controls.js';
import { createObjectGallery } from './gallery.js';
import { OBJECT_KEYS, OBJECT_NOTES } from './help.js';
import { listenToObjectKeys } from './keys.js';
import { createObjectMap } from './map.js';
import { followOutlines } from './outlines.js';
import { createObjectService } from './service.js';

const INITIAL = {
  examples: [], // { at | box | polygon, object_size?, label }
  picture: null, // id of an uploaded picture of the object
  labels: 0, // examples that a file brought
  filters: {}, // within, scenes, since, until, max_nodata, min_sharpness, away
  panel: false, // whether the filters are open
  size: null, // metres, of the window around a click
  most: FIRST, // objects of an answer
  objects: [], // as the server ranked them
  shown: [], // those of at least `minScore` that are not hidden
  answer: null, // what else the server said
  outlines: new Map(), // geometry at the minimum score, by id
  minScore: 0,
  marks: new Map(), // place → good | bad | skip, or empty where one was taken back
  authors: new Map(), // place → whose mark it is
  author: '', // by whom marks are given here
  goneScenes: 0, // scenes with marks that are no longer in the collection
  hideMarked: false,
  page: 0, // of the gallery
  selected: -1, // place in `shown`
  hovered: -1,
  drawing: '', // what is being drawn on the map
  asked: [], // windows to judge next
  judging: false, // whether the tray is open
  exhausted: false, // whether nothing is left to judge
  judged: [], // windows that were judged in the tray, for undo
  detector: null, // { name, title } of the detector that is applied
  detectors: [], // every one that is kept
  card: null, // the detector whose card is open
  removed: null, // { token, title } of the detector that was removed last
  kept: [], // saved searches of this collection
  saved: null, // the one that is open
  saving: null, // { state: asking | saving | done, name } of a detector
  help: false, // whether the shortcuts are shown
  scoreMap: false, // whether the score map is drawn
  busy: '', // what is being waited for, in words
  waiting: null, // { done, total } of a long search
  problem: null,
  requestNumber: 0,
  answered: 0,
  unsent: 0, // marks that the server does not have yet
};

export function startObjects(root, data, onCollection, onMode) {
  const store = createStore(INITIAL);
  const service = createObjectService(data.base, data.collection.name);
  const onName = (before, after) => {
    store.set({ author: after });
    context.actions.renamed(before, after);
  };
  const author = createAuthor({ root, person: data.person, onName });
  const context = { data, store, service, root, onCollection, onMode, author };
  store.set({ author: author.name() });
  context.actions = createObjectActions(context);
  context.map = createObjectMap(context);
  const parts = [
    context.map,
    createObjectControls(context),
    createFilters({ ...context, counts: false }),
    createObjectGallery(context),
    createMenus(context),
    listenToObjectKeys(context),
    followOutlines(context),
    createHelp(context, OBJECT_KEYS, OBJECT_NOTES),
  ];
  context.actions.begin();
  root.dataset.state = 'live';
  expose({ store, map: context.map });
  return {
    stop() {
      context.actions.stop();
      author.stop();
      for (const part of parts) part.stop();
    },
  };
}
