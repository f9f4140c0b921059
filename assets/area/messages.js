import { isPage } from '../shared/history.js';
import { beginWork } from '../shared/idle.js';

// Messages to the server.  Each has a number and is repeated until the server has read it: a run that
// draws the page anew may miss one.  After Back, a page that is still shown sends nothing, because
// Streamlit would return to it.
export function createMessages(send, { page, heard }) {
  let last = heard; // the number of the last one
  let waiting = null; // the one that the server has not read yet
  const stop = () => {
    waiting?.ended();
    waiting = null;
  };
  return {
    send(name, content) {
      stop();
      if (!isPage(page)) return;
      last += 1;
      waiting = { name, content: { ...content, number: last }, ended: beginWork(`${name}, sent`) };
      send(name, waiting.content);
    },
    // The server has read all up to this number.
    acknowledge(number) {
      if (!waiting || number >= last || !isPage(page)) stop();
      else send(waiting.name, waiting.content);
    },
    pending: () => waiting?.name,
    stop,
  };
}
