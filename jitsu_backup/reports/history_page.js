"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const JUST = { added: "just added", changed: "just changed", removed: "just removed" };
  const SOON = { added: "about to be added", changed: "about to change", removed: "about to be removed" };
  const SIGNS = { added: "+", changed: "~", removed: "−" };
  const DAY = 86400;

  // one workspace: its states are its steps, and the oldest snapshot before them
  const machine = (root) => {
    const control = root.querySelector(".control");
    if (!control) return null;
    const slider = control.querySelector("input");
    const moment = control.querySelector(".moment");
    const [earlier, later] = all("button", control);
    const now = root.querySelector(".chart .now");
    const chart = root.querySelector(".chart svg");
    const seconds = Number(control.dataset.seconds);

    const states = [];
    for (const one of all("[data-step]", root)) {
      const marked = all("[data-mark]", one);
      states[Number(one.dataset.step)] = {
        at: Number(one.dataset.at),
        from: one.dataset.from,
        to: one.dataset.to,
        snapshot: one.querySelector(".snapshot").textContent,
        chips: all(".chips > li", one),
        marks: new Map(marked.map((chip) => [chip.dataset.item, chip.dataset.mark])),
      };
    }
    const newest = states.length - 1;
    const none = { marks: new Map(), chips: [] };

    // each look of an entity in the picture, and each line, with the states in which it exists
    const pieces = all("[data-spans]", root).map((one) => {
      const drawn = one.firstElementChild ?? one;
      return {
        one,
        drawn,
        item: drawn.dataset.item,
        label: drawn.getAttribute("aria-label"),
        spans: one.dataset.spans.split(" ").map((span) => span.split("-").map(Number)),
        column: one.closest(".counted"),
        shown: `${!one.classList.contains("absent")} false false undefined undefined`, // without marks
      };
    });
    const counts = new Map(all(".counted", root).map((one) => [one, one.querySelector(".count")]));
    const within = (piece, state) => piece.spans.some(([first, last]) => first <= state && state <= last);

    const mark = (drawn, kind, soon, label) => {
      drawn.classList.remove("plain", "added", "changed", "removed");
      drawn.classList.add(kind ?? "plain");
      drawn.classList.toggle("awaits", Boolean(soon));
      if (label === null) return; // a line
      for (const sign of all(".sign", drawn)) sign.remove();
      for (const [name, kinds] of [[kind, "sign"], [soon, `sign soon ${soon}`]]) {
        if (!name) continue;
        const sign = document.createElement("span");
        sign.className = kinds;
        sign.setAttribute("aria-hidden", "true");
        sign.textContent = SIGNS[name];
        if (kinds === "sign") drawn.prepend(sign);
        else drawn.append(sign);
      }
      const words = [label, kind && JUST[kind], soon && SOON[soon]].filter(Boolean);
      drawn.setAttribute("aria-label", words.join(", "));
    };

    const draw = (state) => {
      const just = states[state].marks;
      const soon = (states[state + 1] ?? none).marks;
      const totals = new Map();
      for (const piece of pieces) {
        const there = within(piece, state);
        const before = just.get(piece.item);
        const after = soon.get(piece.item);
        const gone = !there && before === "removed" && within(piece, state - 1);
        const coming = !there && after === "added" && within(piece, state + 1);
        if (there) totals.set(piece.column, (totals.get(piece.column) ?? 0) + 1);
        const kind = there || gone ? before : undefined;
        const next = there || coming ? after : undefined;
        const shown = `${there} ${gone} ${coming} ${kind} ${next}`;
        if (shown === piece.shown) continue;
        piece.shown = shown;
        piece.one.classList.toggle("absent", !(there || gone || coming));
        piece.drawn.classList.toggle("ghost", gone || coming);
        mark(piece.drawn, kind, next, piece.label);
      }
      for (const [column, count] of counts) count.textContent = String(totals.get(column) ?? 0);
    };

    const list = (box, chips, empty) => {
      const old = box.querySelector(".chips, .empty");
      const fresh = document.createElement(chips.length ? "ul" : "p");
      fresh.className = chips.length ? "chips" : "empty";
      fresh.append(...(chips.length ? chips.map((chip) => chip.cloneNode(true)) : [empty]));
      old.replaceWith(fresh);
    };

    let current = -1;
    const show = (state) => {
      if (state === current) return;
      current = state;
      const here = states[state];
      const next = states[state + 1] ?? none;
      draw(state);
      list(control.querySelector(".just"), here.chips, "nothing: the history begins here");
      list(control.querySelector(".soon"), next.chips, "nothing: this is the newest state");
      const until = state === newest ? ", the newest" : next.from === here.to ? "" : ` until ${next.from}`;
      moment.setAttribute("aria-live", document.activeElement === slider ? "off" : "polite"); // the slider announces itself
      moment.querySelector("strong").textContent = here.to;
      moment.querySelector(".until").textContent = until;
      moment.querySelector(".place").textContent = `${state + 1} of ${newest + 1}`;
      moment.querySelector(".more").textContent =
        ` · snapshot ${here.snapshot} · ${here.marks.size} just changed, ${next.marks.size} about to change`;
      slider.setAttribute("aria-valuetext", moment.textContent);
      earlier.disabled = state === 0;
      later.disabled = state === newest;
      const x = (here.at / seconds) * chart.viewBox.baseVal.width;
      now.setAttribute("d", `M${x} 0V${chart.viewBox.baseVal.height}`);
    };
    const at = (second) => Math.max(0, states.findLastIndex((one) => one.at <= second));
    const go = (state) => {
      const to = Math.min(newest, Math.max(0, state));
      slider.value = String(states[to].at);
      show(to);
    };

    slider.addEventListener("input", () => show(at(Number(slider.value))));
    earlier.addEventListener("click", () => go(current - 1));
    later.addEventListener("click", () => go(current + 1));
    chart.addEventListener("click", (event) => {
      const box = chart.getBoundingClientRect();
      const day = Math.floor(((event.clientX - box.left) / box.width) * (seconds / DAY));
      go(at((day + 1) * DAY - 1));
    });
    root.addEventListener("click", (event) => {
      const link = event.target.closest(".go");
      if (link) go(Number(link.closest("[data-step]").dataset.step));
    });
    control.hidden = root.querySelector(".key").hidden = false;
    root.querySelector(".still").hidden = true;
    go(newest);
    return { root, step: (by) => go(current + by) };
  };

  const machines = all(".workspace").map(machine).filter(Boolean);

  // arrow keys move through time unless they have another meaning
  const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !(event.key in STEPS)) return;
    const slider = event.target.matches("input[type=range]");
    if (!slider && (event.target.matches("input") || !event.key.match("Left|Right"))) return;
    const meant = machines.find((one) => one.root.contains(event.target)) ?? machines[0];
    if (!meant) return;
    event.preventDefault();
    meant.step(STEPS[event.key]);
  });

  // colour code and add buttons to restore lines when they are unfolded
  const colour = (pre) => {
    if (pre.dataset.done || pre.querySelector(".unseen")) return;
    pre.dataset.done = "yes";
    const styles = { "+": "plus", "-": "minus", "@": "hunk" };
    pre.replaceChildren(...pre.textContent.split("\n").map((line) => {
      const one = document.createElement("span");
      one.className = styles[line[0]] ?? "same";
      one.textContent = `${line}\n`;
      return one;
    }));
  };
  const copy = async (button, code) => {
    getSelection().selectAllChildren(code);
    let copied = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied = true;
    } catch {
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Selected: copy it by keyboard";
  };
  const offer = (line) => {
    const code = line.querySelector("code");
    if (line.querySelector("button") || code.querySelector(".unseen")) return; // do not offer to copy invisible characters
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", () => copy(button, code));
    line.append(" ", button);
  };
  document.addEventListener("toggle", (event) => {
    if (!event.target.open) return;
    for (const pre of all(":scope > .diff", event.target)) colour(pre);
    if (event.target.matches("[data-item]")) for (const line of all(".restore", event.target)) offer(line);
  }, true);
})();
