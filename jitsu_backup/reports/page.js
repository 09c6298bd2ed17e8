"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const entities = all("details[data-item]");
  const groups = all(".group");
  const drawn = all(".picture [data-item], .others [data-item]");
  const query = document.getElementById("query");
  const hits = document.getElementById("hits");

  // a link into folded details opens them and moves the focus there
  const reveal = (hash) => {
    const inside = /^#(entity|change)-\d+$/.test(hash) && document.getElementById(hash.slice(1));
    if (!inside) return false;
    const details = inside.closest("details[data-item]");
    if (details.classList.contains("miss")) clear();
    details.open = true;
    const whole = inside.parentElement === details;
    (whole ? details.firstElementChild : inside).focus({ preventScroll: true });
    (whole ? details : inside).scrollIntoView({ block: "start" });
    return true;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#entity-"], a[href^="#change-"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const hash = link.getAttribute("href");
    if (reveal(hash)) {
      event.preventDefault();
      if (location.hash !== hash) history.pushState(null, "", hash);
    }
  });
  addEventListener("hashchange", () => reveal(location.hash));

  // search: every word must match
  let texts = null;
  const search = () => {
    texts ??= entities.map((one) => one.textContent.toLowerCase());
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = new Set();
    entities.forEach((one, place) => {
      const hit = words.every((word) => texts[place].includes(word));
      one.classList.toggle("miss", !hit);
      if (hit) found.add(one.dataset.item);
    });
    for (const one of groups) one.classList.toggle("miss", !one.querySelector("details:not(.miss)"));
    for (const one of drawn) one.classList.toggle("dim", !found.has(one.dataset.item));
    hits.textContent = words.length ? `${found.size} of ${entities.length} match` : `${entities.length} entities`;
  };
  const clear = () => {
    query.value = "";
    search();
  };
  query.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== query && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      query.focus();
      query.select();
    } else if (event.key === "Escape" && query.value) {
      clear();
    } else if (event.key === "Enter" && event.target === query) {
      event.preventDefault(); // else the same key folds the details again
      const first = entities.find((one) => !one.classList.contains("miss"));
      if (first) reveal(`#entity-${first.dataset.item}`);
    }
  });
  document.getElementById("search").hidden = entities.length === 0;

  // highlight related entities together
  const beside = new Map();
  for (const one of all("[data-ends]")) {
    const numbers = [one.dataset.item, ...one.dataset.ends.split(" ").filter(Boolean)];
    for (const number of new Set(numbers)) {
      if (!beside.has(number)) beside.set(number, new Set());
      beside.get(number).add(one);
    }
  }
  const nodes = new Map(); // an entity that looked different over time has several
  for (const one of all(".picture .node")) nodes.set(one.dataset.item, [...(nodes.get(one.dataset.item) ?? []), one]);
  let lit = [];
  const light = (event) => {
    for (const one of lit) one.classList.remove("on");
    lit = [];
    const node = event.target.closest?.(".picture .node");
    if (!node || event.type === "mouseout" || event.type === "focusout") return;
    for (const one of beside.get(node.dataset.item) ?? []) {
      lit.push(one);
      for (const number of one.dataset.ends.split(" ")) {
        const ends = nodes.get(number);
        if (ends && node.classList.contains("card")) lit.push(...ends);
        else if (one.classList.contains("card")) for (const path of beside.get(one.dataset.item)) lit.push(path);
      }
    }
    for (const one of lit) one.classList.add("on");
  };
  for (const type of ["mouseover", "mouseout", "focusin", "focusout"]) document.addEventListener(type, light);

  // unfold everything for printing
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = entities.filter((one) => !one.open);
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of folded) one.open = false;
  });

  if (location.hash) reveal(location.hash);
})();
