"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll("#lanes tr[data-position]")];
  const cells = [...document.querySelectorAll("#state td[data-word]")];
  const slider = byId("position"), filter = byId("filter"), unfold = byId("unfold"), svg = byId("arrows");
  const last = rows.length - 1;
  let at = 0;

  /* The value of a word at a position: the last change that is not behind it. */
  const changeAt = (word, position) => {
    const changes = data.words[word];
    let low = 0, high = changes.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (changes[middle][0] <= position) low = middle; else high = middle - 1;
    }
    return low;
  };
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const showState = () => {
    for (const cell of cells) {
      const changes = data.words[cell.dataset.word];
      const number = changeAt(cell.dataset.word, at);
      const changed = number > 0 && changes[number][0] === at && at > 0;
      const key = number + (changed ? "!" : "");
      if (cell.dataset.shown === key) continue;
      cell.dataset.shown = key;
      cell.className = changed ? "changed" : "";
      cell.replaceChildren();
      if (changed) cell.append((changes[number - 1][1] || "nothing") + " \u2192 ", element("b", changes[number][1] || "nothing"));
      else cell.append(changes[number][1]);
    }
  };

  const showSource = () => {
    const place = data.places[at], box = byId("source");
    box.replaceChildren();
    if (!place) { box.append(element("p", "Here no step is taken: choose one to see its source.")); return; }
    const [name, operation, entry, beside] = place, step = data.steps[name];
    box.append(element("h4", name));
    if (step) {
      box.append(element("p", step.doc));
      if (beside) box.append(element("p", "With it, on registers alone: " + beside + ".", "hint"));
      const source = element("pre");
      source.tabIndex = 0;
      source.append(element("code", step.source));
      box.append(source, element("p", step.where, "hint"));
    }
    const lines = data.programs[operation];
    if (!lines) return;
    box.append(element("h4", "In the program of " + operation));
    const here = lines.findIndex((line) => line[2] !== null && line[2] === entry);
    const from = Math.max(0, here - 6), to = Math.min(lines.length, here + 7);
    const list = element("ol", undefined, "program");
    for (const [sign, text, number] of lines.slice(from, to)) {
      const line = element("li", undefined, sign === "-" ? "gone" : sign === "+" ? "come" : "");
      line.append(element("code", (number === entry ? "\u25B6 " : "  ") + sign + " " + text));
      if (number === entry) { line.classList.add("here"); line.setAttribute("aria-current", "step"); }
      list.append(line);
    }
    box.append(list);
    if (lines.slice(from, to).some((line) => line[0] !== " "))
      box.append(element("p", "- stands in this program alone, + in the mended one alone.", "hint"));
  };

  /* Arrows lead from a write to the read that saw it. They are drawn where both can be seen. */
  const lineOf = (item) => {
    const range = document.createRange();
    range.selectNodeContents(item);
    return range.getBoundingClientRect();
  };
  const pathOf = (frame, from, to, className) => {
    if (!from || !to || from.closest("[hidden]") || to.closest("[hidden]")) return [];
    const a = from.closest("td").getBoundingClientRect(), b = to.closest("td").getBoundingClientRect();
    const ya = lineOf(from), yb = lineOf(to);
    const rightward = a.left < b.left, same = Math.abs(a.left - b.left) < 2;
    const x1 = (same || !rightward ? a.left : ya.right + 4) - frame.left;
    const x2 = (same || rightward ? b.left : yb.right + 4) - frame.left;
    const y1 = ya.top + ya.height / 2 - frame.top, y2 = yb.top + yb.height / 2 - frame.top;
    const bend = same ? -26 : (x2 - x1) / 2;
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", same
      ? `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 + bend} ${y2} ${x2} ${y2}`
      : `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
    path.setAttribute("class", className);
    path.setAttribute("marker-end", "url(#head)");
    return [path];
  };
  const accessOf = (row, word) => byId(`${row}-${word}`);
  let waiting = false;
  const drawArrows = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const old = svg.querySelectorAll(":scope > path");
      /* All is measured before anything is drawn, so that the browser lays the page out once. */
      const paths = [], frame = byId("lanes").getBoundingClientRect();
      const step = at - data.first;
      for (const [writer, reader, word, decides] of data.arrows) {
        const ofStep = writer === step || reader === step;
        if (decides || ofStep)
          paths.push(...pathOf(frame, accessOf(`step-${writer}`, word), accessOf(`step-${reader}`, word),
            ofStep ? "of-step" : ""));
      }
      if (data.conflict.length) {
        const [first, second] = data.conflict;
        paths.push(...pathOf(frame, accessOf(first, data.word),
          accessOf(second.replace("ahead-1", "ahead"), data.word), "pair"));
      }
      old.forEach((path) => path.remove());
      svg.append(...paths);
    });
  };

  const openFold = (fold, open) => {
    const button = document.querySelector(`tr[data-fold="${fold}"] button`);
    button.setAttribute("aria-expanded", String(open));
    document.querySelectorAll(`tr[data-of="${fold}"]`).forEach((row) => { row.hidden = !open; });
  };
  const folds = [...document.querySelectorAll("tr[data-fold]")];
  const matches = (row, name) =>
    [...row.querySelectorAll("li")].some((line) => line.textContent === name
      || line.textContent.startsWith(name + " ") || line.textContent.startsWith(name + ":"));
  const applyFilter = () => {
    const name = filter.value;
    for (const fold of folds) fold.hidden = name !== "" || unfold.checked;
    for (const fold of folds) openFold(fold.dataset.fold, unfold.checked);
    for (const row of rows)
      if (name !== "") row.hidden = row.classList.contains("step") && !matches(row, name);
      else if (!row.dataset.of) row.hidden = false;
    drawArrows();
  };

  const go = (position, scroll) => {
    rows[at].classList.remove("current");
    rows[at].removeAttribute("aria-current");
    at = Math.max(0, Math.min(last, position));
    const row = rows[at];
    if (row.hidden && row.dataset.of && filter.value === "") openFold(row.dataset.of, true);
    row.classList.add("current");
    row.setAttribute("aria-current", "step");
    slider.value = at;
    const label = at < data.first || at === 0 ? "" : at === data.first ? "" : `Step ${at - data.first} of ${last - data.first}: `;
    byId("now").textContent = label + data.labels[at];
    byId("state-title").textContent = at <= data.first ? "State at the beginning" : `State behind step ${at - data.first}`;
    byId("back").setAttribute("aria-disabled", String(at === 0));
    byId("forward").setAttribute("aria-disabled", String(at === last));
    showState();
    showSource();
    drawArrows();
    if (scroll) row.scrollIntoView({ block: "nearest" });
  };
  /* The next row that is shown; folded steps are passed over. */
  const pass = (direction) => {
    let to = at + direction;
    while (to > 0 && to < last && rows[to].hidden) to += direction;
    if (to >= 0 && to <= last && !rows[to].hidden) go(to, true);
  };

  byId("back").addEventListener("click", () => pass(-1));
  byId("forward").addEventListener("click", () => pass(1));
  slider.addEventListener("input", () => go(Number(slider.value), true));
  filter.addEventListener("change", applyFilter);
  unfold.addEventListener("change", applyFilter);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-goto]"), button = event.target.closest("button.step");
    const fold = event.target.closest("tr[data-fold] button"), row = event.target.closest("tr[data-position]");
    if (link) { event.preventDefault(); go(Number(link.dataset.goto) + data.first, true); }
    else if (button) go(Number(button.dataset.position), false);
    else if (fold) { openFold(fold.closest("tr").dataset.fold, fold.getAttribute("aria-expanded") !== "true"); drawArrows(); }
    else if (row) go(Number(row.dataset.position), false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    const keys = { ArrowRight: 1, j: 1, ArrowLeft: -1, k: -1 };
    if (event.key in keys) pass(keys[event.key]);
    else if (event.key === "Home") go(0, true);
    else if (event.key === "End") go(last, true);
    else return;
    event.preventDefault();
  });
  new ResizeObserver(drawArrows).observe(byId("lanes"));
  const asked = location.hash.match(/^#step-(\d+)$/);
  go(asked ? Number(asked[1]) + data.first : data.first, Boolean(asked));
})();
