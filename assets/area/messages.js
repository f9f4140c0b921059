import { isPage } from '../shared/history.js';
import { beginWork } from '../shared/idle.js';

// Numbers each message to the server and repeats it until the server has read it: a run that draws
// the page anew may miss one.  After Back, a page that is still shown sends nothing, because Streamlit
// would return to it.
export function createTelling(send, { page, heard }) {
  let told = heard;
  let open = null;
  const end = () => {
    open?.ended();
    open = null;
  };
  return {
    tell(name, content) {
      end();
      if (!isPage(page)) return;
      told += 1;
      open = { name, content: { ...content, number: told }, ended: beginWork(`${name}, told`) };
      send(name, open.content);
    },
    hear(now) {
      if (!open || now >= told || !isPage(page)) end();
      else send(open.name, open.content);
    },
    // The message that was not heard yet.
    open: () => open?.name,
    end,
  };
}
