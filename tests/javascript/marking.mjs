// Who marks, and a server that keeps the marks.
globalThis.localStorage ??= globalThis.sessionStorage;

export const authorNamed = (name) => ({
  name: () => name,
  owns: (who) => !who || who === name,
  marked() {},
});

// Sets of marks, of each author's the last on each chip or place; the later author's is shown.
export function marksServer() {
  const sets = new Map();
  const shown = (set) => {
    const last = new Map();
    for (const mark of sets.get(set) ?? []) {
      const place = mark.chip ?? `${mark.scene_id},${mark.lon},${mark.lat}`;
      const key = `${place} ${mark.author}`;
      last.delete(key);
      if (mark.label) last.set(key, { place, mark });
    }
    const marks = new Map([...last.values()].map(({ place, mark }) => [place, mark]));
    return { marks: [...marks.values()], missing: [] };
  };
  return {
    sets,
    async mark(set, marks) {
      sets.set(set, [...(sets.get(set) ?? []), ...marks]);
      return shown(set);
    },
    marks: async (set) => shown(set),
  };
}
