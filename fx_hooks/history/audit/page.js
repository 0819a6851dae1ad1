
"use strict";
(() => {
  const root = document.documentElement;
  const tip = document.getElementById("tip");
  root.classList.add("js");

  // What a picture shows at one place, beside that place.
  const show = (target) => {
    const box = (target.querySelector(".edge") || target).getBoundingClientRect();
    tip.textContent = target.getAttribute("aria-label");
    tip.hidden = false;
    const wide = root.clientWidth;
    const left = Math.min(Math.max(box.left + box.width / 2 - tip.offsetWidth / 2, 8), wide - tip.offsetWidth - 8);
    let top = box.top - tip.offsetHeight - 8;
    if (top < 8) top = Math.min(box.bottom + 8, root.clientHeight - tip.offsetHeight - 8);
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${top + window.scrollY}px`;
  };
  const hide = () => { tip.hidden = true; };
  const part = (node) => node instanceof Element && node.closest("[data-walk] [tabindex]");

  document.addEventListener("pointerover", (event) => {
    const target = part(event.target);
    if (target) show(target);
    else if (!part(document.activeElement)) hide();
  });
  document.addEventListener("focusin", (event) => {
    const target = part(event.target);
    if (target) show(target);
    else hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });

  // One stop for the Tab key in each picture; arrows go on from there.
  const middle = (node) => {
    const box = node.querySelector(".edge").getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };
  const beside = (from, all, [dx, dy]) => {
    const [x, y] = middle(from);
    let best = null;
    let least = Infinity;
    for (const other of all) {
      const [ox, oy] = middle(other);
      const along = (ox - x) * dx + (oy - y) * dy;
      const across = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      const far = along + 2 * across;
      if (other !== from && along > 0.5 && far < least) [best, least] = [other, far];
    }
    return best;
  };
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  for (const group of document.querySelectorAll("[data-walk]")) {
    const all = [...group.querySelectorAll("[tabindex]")];
    group.addEventListener("keydown", (event) => {
      const now = all.indexOf(part(event.target));
      if (now < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
      const way = ways[event.key];
      let next = null;
      if (event.key === "Home") next = all[0];
      else if (event.key === "End") next = all[all.length - 1];
      else if (way && group.dataset.walk === "row") next = all[now + (way[0] || -way[1])];
      else if (way) next = beside(all[now], all, way);
      else return;
      event.preventDefault();
      if (!next) return;
      all[now].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }

  // Tables.
  const status = document.querySelector(".status");
  const order = (value, other, numbers) => {
    if (numbers) return Number(value) - Number(other);
    return value < other ? -1 : Number(value > other);
  };
  for (const button of document.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const table = head.closest("table");
      const column = head.cellIndex;
      const numbers = head.classList.contains("number");
      const was = head.getAttribute("aria-sort");
      const up = was === "none" ? !numbers : was === "descending";
      const body = table.tBodies[0];
      const rows = [...body.rows];
      const value = (row) => row.cells[column].dataset.value;
      rows.sort((row, other) => (up ? 1 : -1) * order(value(row), value(other), numbers));
      body.append(...rows);
      for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
      const way = up ? "ascending" : "descending";
      head.setAttribute("aria-sort", way);
      status.textContent = `${table.caption.textContent}, sorted by ${button.textContent}, ${way}`;
    });
  }
})();
