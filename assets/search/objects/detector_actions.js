// What can be done with detectors: trained, renamed, removed and restored, added from a file.
export function createDetectorActions({ store, service, queue, recipe }) {
  const { state, set } = store;

  // What is refused is told; true otherwise.
  async function told(act) {
    try {
      await act();
      return true;
    } catch (problem) {
      set({ problem });
      return false;
    }
  }

  const listDetectors = () => told(async () => set({ detectors: await service.detectors() }));

  return {
    listDetectors,
    saveDetector: () => set({ saving: { state: 'asking' } }),
    cancelSaving: () => set({ saving: null }),
    async train(title) {
      set({ saving: { state: 'saving', title } });
      try {
        await queue.flushed();
        const { k: _, ...what } = recipe();
        const made = await service.train({ ...what, title });
        set({ saving: { state: 'done', name: made.name, title: made.title } });
        await listDetectors();
      } catch (problem) {
        set({ saving: null, problem });
      }
    },
    // The card of one detector, with what to know before it is applied here; again to close it.
    openCard(name) {
      if (state.card?.name === name) return set({ card: null });
      set({ card: { name } });
      return told(async () => {
        const card = await service.detector(name);
        if (state.card?.name === name) set({ card });
      });
    },
    renameDetector: ({ name }, title) =>
      told(async () => {
        const { title: given } = await service.rename(name, title);
        if (state.detector?.name === name) set({ detector: { ...state.detector, title: given } });
        if (state.card?.name === name) set({ card: { ...state.card, title: given } });
        await listDetectors();
      }),
    removeDetector: (each) =>
      told(async () => {
        const { token } = await service.remove(each.name);
        set({ removed: { token, title: each.title ?? each.name }, card: null });
        await listDetectors();
      }),
    restoreDetector: () =>
      told(async () => {
        const { token } = state.removed;
        set({ removed: null });
        await service.restore(token);
        await listDetectors();
      }),
    uploadDetector: (file) =>
      told(async () => {
        await service.upload(file);
        await listDetectors();
      }),
  };
}
