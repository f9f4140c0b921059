// What can happen to a thing between two dates, and how each is drawn.
export const KINDS = {
  appeared: { title: 'Appeared', words: 'present only in the later image', colour: '#ffd23f', dash: null },
  disappeared: {
    title: 'Disappeared',
    words: 'present only in the earlier image',
    colour: '#f472b6',
    dash: '6 5',
  },
  persists: { title: 'Persists', words: 'present in both images', colour: '#60a5fa', dash: '2 5' },
};

export const MAX_PLACES = 200; // places of a kind
export const DEFAULT_PLACES = 12;

// Which of the two dates shows it.
export const picturedDate = (kind) => (kind === 'disappeared' ? 'before' : 'after');
