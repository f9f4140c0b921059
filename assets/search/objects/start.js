// Where an object search starts: examples, a picture, a detector, or the examples of a file.
export const started = ({ examples, detector, picture, labels }) =>
  Boolean(examples.length || detector || picture || labels);

const PICTURES = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|heic)$/i;

export function createFileActions({ store, service, queue, author, begin, search, restoreMarks }) {
  async function take(words, act) {
    store.set({ busy: words, problem: null });
    try {
      await act();
    } catch (problem) {
      return store.set({ problem, busy: '' });
    }
    return search();
  }
  const byPicture = (file) =>
    take('Reading the picture', async () => {
      const { picture } = await service.keepPicture(file);
      begin({ picture });
    });
  // Labels are marks, which the server keeps.
  const byLabels = (file) =>
    take('Reading the file', async () => {
      const set = queue.spare();
      const { count } = await service.keepLabels(set, file, author.name());
      begin({ labels: count });
      queue.use(set);
      await restoreMarks({ marks: set });
    });
  return {
    searchFile: (file) =>
      file.type.startsWith('image/') || PICTURES.test(file.name) ? byPicture(file) : byLabels(file),
  };
}
