// A list of many rows of which only the visible ones are in the document, so that ten thousand scroll smoothly.

import { h, replace, sized } from "./dom.js";

const SPARE = 8;

export function rowList({ headings, height, label, cells, open, nearEnd }) {
  let rows = [];
  let first = -1, last = -1;
  const space = h("div", { class: "space", role: "rowgroup" });
  const head = h("div", { role: "rowgroup", class: "head" }, h("div", { class: "tr", role: "row", "aria-rowindex": 1 },
    headings.map((heading) => h("span", { role: "columnheader" }, heading))));
  const box = h("div", { class: "rows", role: "table", "aria-label": label, tabindex: "0", scroll: () => draw(false) }, head, space);

  function draw(isNew) {
    const from = Math.max(0, Math.floor(box.scrollTop / height()) - SPARE);
    const to = Math.min(rows.length, from + Math.ceil(box.clientHeight / height()) + 2 * SPARE);
    if (isNew || from !== first || to !== last) {
      [first, last] = [from, to];
      sized(space, { height: `${rows.length * height()}px` });
      const focused = document.activeElement?.dataset?.row;
      replace(space, rows.slice(from, to).map((row, index) => one(row, from + index)));
      if (focused) space.querySelector(`[data-row="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
    if (to >= rows.length - 2 * SPARE) nearEnd?.();
  }

  function one(row, index) {
    const element = h("div", { class: "tr", role: "row", "aria-rowindex": index + 2, click: (event) => event.target.closest("a") || open(row) },
      cells(row).map((cell) => h("span", { role: "cell" }, cell)));
    return sized(element, { top: `${index * height()}px`, height: `${height()}px` });
  }

  // The arrow keys go from the link of a row to that of the next.
  box.addEventListener("keydown", (event) => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest(".tr");
    if (!move || !row || !row.dataset) return;
    const next = move > 0 ? row.nextElementSibling : row.previousElementSibling;
    const link = next?.querySelector("a");
    if (link) {
      event.preventDefault();
      link.focus();
    }
  });
  new ResizeObserver(() => draw(true)).observe(box);
  return {
    element: box,
    isAtTop: () => box.scrollTop < height(),
    // Rows that come in above keep what is being read where it is.
    set(list, added = 0) {
      rows = list;
      box.setAttribute("aria-rowcount", String(list.length + 1));
      draw(true);
      if (added && box.scrollTop >= height()) box.scrollTop += added * height();
    },
  };
}
