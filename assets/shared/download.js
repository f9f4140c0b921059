import { h } from './dom.js';

// Offers a blob as a download.
export function download(blob, name) {
  const link = h('a', { href: URL.createObjectURL(blob), download: name });
  document.body.append(link); // some browsers follow only links that are part of the page
  link.click();
  link.remove();
  // Large files are still being read for a while after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
