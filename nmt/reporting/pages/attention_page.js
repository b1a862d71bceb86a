"use strict";
(() => {
  const MISSING = 65535; // the code of an unknown weight
  const LARGEST = 65534; // the code of weight 1

  const page = JSON.parse(element("data").textContent);
  const parse = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const scales = { light: page.colors.map(parse), dark: page.darkColors.map(parse) };
  const missingColors = { light: [242, 185, 185], dark: [138, 52, 52] };
  const darkScheme = matchMedia("(prefers-color-scheme: dark)");
  let scheme = "light"; // of the colors of weights; "light" on paper
  const state = { sentence: 0, layer: page.layer, head: page.head }; // head -1 is the mean of the heads
  let record; // the record of the chosen sentence
  let codes; // its weights, [L, H, T, S] flattened
  let shown; // the T * S weights of the chosen layer and head
  let cells = []; // T * S table cells
  let columnHeads = [];
  let rowHeads = [];
  let sourcePieces = [];
  let targetPieces = [];
  let cursor = [0, 0]; // row and column of the cell that the Tab key focuses

  function element(id) {
    return document.getElementById(id);
  }

  function make(name, className, text) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  /* Weights and colors */

  function decode(base64) {
    const bytes = atob(base64);
    const result = new Uint16Array(bytes.length / 2);
    for (let n = 0; n < result.length; n++) {
      result[n] = bytes.charCodeAt(2 * n) | (bytes.charCodeAt(2 * n + 1) << 8);
    }
    return result;
  }

  function weightsOf(layer, head) {
    const size = record.target.length * record.source.length;
    const result = new Float64Array(size);
    const heads = head < 0 ? [...Array(record.heads).keys()] : [head];
    for (const index of heads) {
      const offset = (layer * record.heads + index) * size;
      for (let n = 0; n < size; n++) {
        const code = codes[offset + n];
        result[n] += code === MISSING ? NaN : code / LARGEST / heads.length;
      }
    }
    return result;
  }

  function color(weight) {
    if (Number.isNaN(weight)) return missingColors[scheme];
    const ramp = scales[scheme];
    const position = Math.min(Math.max(weight, 0), 1) * (ramp.length - 1);
    const stop = Math.min(Math.floor(position), ramp.length - 2);
    return ramp[stop].map((from, part) => Math.round(from + (position - stop) * (ramp[stop + 1][part] - from)));
  }

  function css(weight) {
    return `rgb(${color(weight).join(",")})`;
  }

  /* Black or white, whichever has the higher contrast (WCAG 2.2): at least 4.5 on any color. */
  function inkOn(rgb) {
    const [red, green, blue] = rgb.map((part) => (part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
  }

  function format(weight) {
    return Number.isNaN(weight) ? "unknown" : weight.toFixed(4);
  }

  /* Text. Pieces may contain any characters, so they are inserted as text, never as markup. */

  function visible(piece) {
    return piece.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu, "\ufffd");
  }

  function label(piece) {
    const result = make("span", "label");
    const [, mark, rest] = /^(\u2581*)(.*)$/su.exec(visible(piece));
    result.dir = "auto";
    if (mark) result.append(make("span", "mark", mark));
    result.append(rest);
    return result;
  }

  function fillStrip(strip, pieces) {
    const marked = pieces.some((piece) => piece.startsWith("\u2581"));
    const begins = (piece) => !marked || piece.startsWith("\u2581") || /^<.+>$/su.test(piece);
    const made = pieces.map((piece, number) => {
      const text = visible(piece).replace(/^\u2581+/u, "") || (piece ? "\u00a0" : "\u2205");
      const next = pieces[number + 1];
      return make("span", next !== undefined && begins(next) ? "piece word-end" : "piece", text);
    });
    strip.replaceChildren(...made);
    return made;
  }

  function nameOf(layer, head) {
    const parts = [];
    if (record.layers > 1) parts.push(`layer ${layer + 1} of ${record.layers}`);
    if (record.heads > 1) parts.push(head < 0 ? `mean of ${record.heads} heads` : `head ${head + 1} of ${record.heads}`);
    return parts.join(", ");
  }

  /* Pointing at a cell or at a row */

  function describe(row, column) {
    const result = document.createDocumentFragment();
    const weight = shown[row * record.source.length + column];
    result.append(
      make("bdi", "", visible(record.source[column])), " \u2192 ",
      make("bdi", "", visible(record.target[row])), ": ", make("b", "", format(weight)),
    );
    return result;
  }

  function pointAt(row, column, anchor) {
    clearHighlights();
    pointAtRow(row);
    cells[row * record.source.length + column].classList.add("aim");
    columnHeads[column].classList.add("lit");
    element("reading").replaceChildren(describe(row, column));
    const tip = element("tip");
    tip.replaceChildren(describe(row, column));
    tip.hidden = false;
    placeTip(tip, anchor.getBoundingClientRect());
  }

  function pointAtRow(row) {
    rowHeads[row].classList.add("lit");
    targetPieces[row].classList.add("chosen");
    sourcePieces.forEach((piece, column) => {
      const weight = shown[row * record.source.length + column];
      piece.style.backgroundColor = css(weight);
      piece.style.color = inkOn(color(weight));
      piece.dataset.share = weight >= 0.005 ? `${Math.round(100 * weight)}%` : "";
    });
    const piece = make("bdi", "", visible(record.target[row]));
    element("reading").replaceChildren(piece, " attends to the source tokens as colored above");
  }

  function placeTip(tip, box) {
    const left = Math.min(box.left + box.width / 2 + 8, document.documentElement.clientWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(left, 8)}px`;
    tip.style.top = `${above < 4 ? box.bottom + 8 : above}px`;
  }

  function clearHighlights() {
    for (const lit of document.querySelectorAll(".lit, .aim, .chosen")) lit.classList.remove("lit", "aim", "chosen");
    for (const piece of sourcePieces) {
      piece.style.backgroundColor = piece.style.color = "";
      piece.dataset.share = "";
    }
    element("reading").textContent = "\u00a0";
    element("tip").hidden = true;
  }

  function highlightFocused() {
    const focused = document.activeElement;
    if (focused && focused.matches("#matrix td")) pointAt(+focused.dataset.row, +focused.dataset.column, focused);
    else clearHighlights();
  }

  /* The matrix */

  function buildMatrix() {
    const { source, target } = record;
    const head = make("tr");
    columnHeads = source.map((piece) => headCell("source", piece, "col"));
    head.append(make("td", "corner"), ...columnHeads);
    cells = [];
    rowHeads = [];
    const rows = target.map((piece, row) => {
      const line = make("tr");
      const title = headCell("row", piece, "row");
      title.dataset.row = row;
      rowHeads.push(title);
      line.append(title);
      source.forEach((_, column) => {
        const cell = make("td");
        cell.setAttribute("role", "gridcell");
        cell.tabIndex = -1;
        cell.dataset.row = row;
        cell.dataset.column = column;
        cells.push(cell);
        line.append(cell);
      });
      return line;
    });
    element("matrix").replaceChildren(head, ...rows);
    cursor = [0, 0];
    if (cells.length) cells[0].tabIndex = 0;
    fitMatrix();
  }

  function headCell(className, piece, scope) {
    const result = make("th", className);
    result.scope = scope;
    result.append(label(piece));
    return result;
  }

  function fitMatrix() {
    const tokens = Math.max(record.source.length, record.target.length, 1);
    const cell = Math.round(32 - 13 * Math.min(Math.max((tokens - 12) / 48, 0), 1)); // pixels
    const degrees = cell >= 21 ? 50 : 90;
    const slope = (degrees * Math.PI) / 180;
    const table = element("matrix");
    table.style.setProperty("--cell", `${cell}px`);
    table.style.setProperty("--columns", Math.max(record.source.length, 1));
    table.style.setProperty("--turn", `${-degrees}deg`);
    const widths = columnHeads.map((one) => one.firstChild.offsetWidth);
    const beyond = widths.map((width, n) => width * Math.cos(slope) + 8 - (widths.length - n - 0.5) * cell);
    table.style.setProperty("--header", `${Math.ceil(Math.max(20, ...widths) * Math.sin(slope) + 16)}px`);
    table.style.setProperty("--overhang", `${Math.ceil(Math.max(4, ...beyond))}px`);
  }

  function paintMatrix() {
    shown = weightsOf(state.layer, state.head);
    cells.forEach((cell, n) => {
      cell.style.backgroundColor = css(shown[n]);
      const column = n % record.source.length;
      const row = (n - column) / record.source.length;
      cell.setAttribute("aria-label", `${visible(record.source[column])} \u2192 ${visible(record.target[row])}: ${format(shown[n])}`);
    });
    const parts = [record.title, nameOf(state.layer, state.head)].filter(Boolean);
    element("matrix-title").textContent = visible(parts.join(" \u2013 ")) || "Attention";
  }

  function moveCursor(event) {
    const [rows, columns] = [rowHeads.length, columnHeads.length];
    let [row, column] = cursor;
    switch (event.key) {
      case "ArrowUp": row -= 1; break;
      case "ArrowDown": row += 1; break;
      case "ArrowLeft": column -= 1; break;
      case "ArrowRight": column += 1; break;
      case "Home": column = 0; if (event.ctrlKey) row = 0; break;
      case "End": column = columns - 1; if (event.ctrlKey) row = rows - 1; break;
      case "Escape": clearHighlights(); return;
      default: return;
    }
    event.preventDefault();
    row = Math.min(Math.max(row, 0), rows - 1);
    column = Math.min(Math.max(column, 0), columns - 1);
    cells[row * columns + column].focus();
  }

  function listenToMatrix() {
    const table = element("matrix");
    const target = element("target-strip");
    table.addEventListener("keydown", moveCursor);
    table.addEventListener("pointerover", (event) => {
      const pointed = event.target.closest("td[data-row], th.row");
      if (!pointed) return;
      if (pointed.matches("td")) pointAt(+pointed.dataset.row, +pointed.dataset.column, pointed);
      else { clearHighlights(); pointAtRow(+pointed.dataset.row); }
    });
    table.addEventListener("pointerleave", highlightFocused);
    table.addEventListener("focusin", (event) => {
      if (!event.target.dataset.column) return;
      cells[cursor[0] * record.source.length + cursor[1]].tabIndex = -1;
      cursor = [+event.target.dataset.row, +event.target.dataset.column];
      event.target.tabIndex = 0;
      pointAt(...cursor, event.target);
    });
    table.addEventListener("focusout", clearHighlights);
    target.addEventListener("pointerover", (event) => {
      const row = targetPieces.indexOf(event.target);
      if (row >= 0) { clearHighlights(); pointAtRow(row); }
    });
    target.addEventListener("pointerleave", highlightFocused);
    window.addEventListener("scroll", () => { element("tip").hidden = true; }, { passive: true });
  }

  /* All layers and heads */

  function buildOverview() {
    const { layers, heads } = record;
    element("overview-section").hidden = layers * heads === 1;
    const overview = element("overview");
    if (layers * heads === 1) { overview.replaceChildren(); return; }
    const columns = heads > 1 ? [-1, ...Array(heads).keys()] : [0];
    overview.style.setProperty("--panels", columns.length);
    const names = heads === 1 ? [""] : ["mean", ...Array.from(Array(heads), (_, head) => `${head + 1}`)];
    const parts = [make("span", "", heads > 1 ? "head" : ""), ...names.map((name) => make("span", "over", name))];
    for (let layer = 0; layer < layers; layer++) {
      parts.push(make("span", "beside", `layer ${layer + 1}`));
      for (const head of columns) parts.push(panel(layer, head));
    }
    overview.replaceChildren(...parts);
  }

  function panel(layer, head) {
    const result = make("button");
    result.type = "button";
    result.dataset.layer = layer;
    result.dataset.head = head;
    result.setAttribute("aria-label", nameOf(layer, head));
    result.title = nameOf(layer, head);
    const canvas = make("canvas");
    paintPanel(canvas, layer, head);
    result.append(canvas);
    return result;
  }

  function paintPanel(canvas, layer, head) {
    const [height, width] = [record.target.length, record.source.length];
    canvas.width = Math.max(width, 1);
    canvas.height = Math.max(height, 1);
    canvas.style.aspectRatio = `${Math.min(Math.max(width / Math.max(height, 1), 0.5), 2)}`;
    if (width && height) {
      const context = canvas.getContext("2d");
      const image = context.createImageData(width, height);
      weightsOf(layer, head).forEach((weight, n) => image.data.set([...color(weight), 255], 4 * n));
      context.putImageData(image, 0, 0);
    }
  }

  /* The color scheme: that of the browser, and the light one on paper */

  function useScheme(name) {
    scheme = name;
    const colors = scales[name].map((rgb) => `rgb(${rgb.join(",")})`);
    element("ramp").style.backgroundImage = `linear-gradient(to right, ${colors.join(", ")})`;
    clearHighlights();
    paintMatrix();
    for (const button of element("overview").querySelectorAll("button")) {
      paintPanel(button.firstChild, +button.dataset.layer, +button.dataset.head);
    }
  }

  function followScheme() {
    const current = () => (darkScheme.matches ? "dark" : "light");
    darkScheme.addEventListener("change", () => useScheme(current()));
    window.addEventListener("beforeprint", () => useScheme("light"));
    window.addEventListener("afterprint", () => useScheme(current()));
    useScheme(current());
  }

  function markChosen() {
    for (const button of element("overview").querySelectorAll("button")) {
      const chosen = +button.dataset.layer === state.layer && +button.dataset.head === state.head;
      button.setAttribute("aria-pressed", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
  }

  function listenToOverview() {
    const overview = element("overview");
    overview.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(+button.dataset.layer, +button.dataset.head);
    });
    overview.addEventListener("keydown", (event) => {
      const buttons = [...overview.querySelectorAll("button")];
      const row = buttons.length / record.layers;
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
      const next = buttons[buttons.indexOf(document.activeElement) + step];
      if (step) event.preventDefault();
      if (next) { next.focus(); next.click(); }
    });
  }

  /* Choosing a sentence, layer and head */

  function fill(select, names, values, chosen) {
    select.replaceChildren(...names.map((name, n) => new Option(name, values[n])));
    select.value = chosen;
  }

  function choose(layer, head) {
    state.layer = Math.min(layer, record.layers - 1);
    state.head = record.heads === 1 ? 0 : Math.min(head, record.heads - 1);
    element("layer").value = state.layer;
    element("head").value = state.head;
    clearHighlights();
    paintMatrix();
    markChosen();
  }

  function openSentence(number) {
    state.sentence = number;
    record = page.records[number];
    codes = decode(record.weights);
    const layers = [...Array(record.layers).keys()];
    const heads = [...Array(record.heads).keys()];
    fill(element("layer"), layers.map((n) => n + 1), layers, 0);
    fill(element("head"), ["mean of heads", ...heads.map((n) => n + 1)], [-1, ...heads], 0);
    element("layer-choice").hidden = record.layers === 1;
    element("head-choice").hidden = record.heads === 1;
    element("sentence").value = number;
    element("previous").disabled = number === 0;
    element("next").disabled = number === page.records.length - 1;
    element("source-text").textContent = visible(record.sourceText);
    element("target-text").textContent = visible(record.targetText);
    sourcePieces = fillStrip(element("source-strip"), record.source);
    targetPieces = fillStrip(element("target-strip"), record.target);
    buildMatrix();
    buildOverview();
    choose(state.layer, state.head);
  }

  function start() {
    const names = page.records.map(({ sourceText }, n) => `${n + 1}. ${visible([...sourceText].slice(0, 90).join(""))}`);
    fill(element("sentence"), names, names.map((_, n) => n), 0);
    element("sentence-choice").hidden = page.records.length === 1;
    element("controls").addEventListener("submit", (event) => event.preventDefault());
    element("sentence").addEventListener("change", (event) => openSentence(+event.target.value));
    element("previous").addEventListener("click", () => openSentence(state.sentence - 1));
    element("next").addEventListener("click", () => openSentence(state.sentence + 1));
    element("layer").addEventListener("change", (event) => choose(+event.target.value, state.head));
    element("head").addEventListener("change", (event) => choose(state.layer, +event.target.value));
    listenToMatrix();
    listenToOverview();
    openSentence(0);
    followScheme();
  }

  start();
})();
