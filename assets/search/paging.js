// The pages of the gallery.
export const PAGE = 60; // results on one

export const pagesOf = ({ shown }) => Math.max(1, Math.ceil(shown.length / PAGE));
export const onPage = ({ shown, page }) => shown.slice(page * PAGE, (page + 1) * PAGE);
export const firstOf = ({ page }) => page * PAGE;
