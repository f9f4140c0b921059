// What can happen to a thing between two dates, and how each is drawn.
export const KINDS = {
  appeared: { title: 'Appeared', words: 'there later, not before', colour: '#ffd23f', dash: null },
  disappeared: {
    title: 'Disappeared',
    words: 'there before, not later',
    colour: '#f472b6',
    dash: '6 5',
  },
  persists: { title: 'Persists', words: 'there on both dates', colour: '#60a5fa', dash: '2 5' },
};

export const MAX_PLACES = 200; // places of a kind
export const DEFAULT_PLACES = 12;

// Which of the two dates shows it.
export const picturedDate = (kind) => (kind === 'disappeared' ? 'before' : 'after');
