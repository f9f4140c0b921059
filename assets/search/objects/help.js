// The keys of object search, for the help dialog.
export const OBJECT_KEYS = [
  [['←', '→'], 'Step through objects'],
  [['G'], 'Mark the object, or the window to judge, as good'],
  [['B'], 'Mark it as bad'],
  [['S'], 'Skip it'],
  [['U'], 'Undo the last mark'],
  [['H'], 'Score map'],
  [['F'], 'Filters'],
  [['X'], 'Draw a box around an object'],
  [['P'], 'Draw a polygon around an object'],
  [['Esc'], 'Close a menu, finish judging, or clear a search without marks'],
];

export const OBJECT_NOTES = [
  'Click an object to find others like it; double-click one that was found already. Shift+click ' +
    'adds another example. Alt and the wheel change the object size, which is the width of what a ' +
    'click takes.',
  'Scores say how similar an object is to the examples; 1 is identical. With enough good and bad ' +
    'marks they become probabilities. The address of the page is a link to the whole search.',
];
