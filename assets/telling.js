import { beginWork } from './idle.js';

// What the page tells the server is numbered from the last one it has taken.  While the server draws
// the page anew it may miss one: that one is told again until it is taken.  After Back, a page that
// is still shown tells nothing: the server would take it for a wish to stay.
export function createTelling(send, { page, heard }) {
  const left = () => location.pathname.split('/').filter(Boolean).at(-1) !== page;
  let told = heard;
  let open = null;
  const end = () => {
    open?.ended();
    open = null;
  };
  return {
    tell(name, content) {
      end();
      if (left()) return;
      told += 1;
      open = { name, content: { ...content, number: told }, ended: beginWork(`${name}, told`) };
      send(name, open.content);
    },
    hear(now) {
      if (!open || now >= told || left()) end();
      else send(open.name, open.content);
    },
    isOpen: () => open !== null,
    end,
  };
}
