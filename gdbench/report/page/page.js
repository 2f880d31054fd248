"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];
  const one = (selector, from = document) => from.querySelector(selector);
  const hidden = new Set();
  const chosen = {};
  const views = new Map();
  all("[hidden]").filter((node) => !node.closest("figure") || node.classList.contains("tools")).forEach((node) => { node.hidden = false; });

  // ------------------------------------------------------------------------------------------------------- theme
  const system = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const dark = () => !printing && (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const toggle = one("#theme");
  function showTheme() {
    toggle.setAttribute("aria-pressed", String(dark()));
    toggle.textContent = dark() ? "Light" : "Dark";
    redraw();
  }
  toggle.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    showTheme();
  });
  system.addEventListener("change", showTheme);

  // ----------------------------------------------------------------------------------------------------- figures
  function allowed(row) {  // rows over several dtypes or objectives have no problem, and name their objective and dtype
    const [objective, dtype] = data.problems[row.problem] || [row.objective, row.dtype];
    return (!chosen.objective || !objective || objective === chosen.objective) && (!chosen.dtype || !dtype || dtype === chosen.dtype);
  }
  function rowsOf(name, rows) {
    return name === "contours" || name === "minimisers" ? rows
      : rows.filter((row) => !hidden.has(row.optimizer) && allowed(row));
  }
  function specification(name, width, less = 0) {
    const spec = structuredClone(data.figures[name].spec);
    for (const key of Object.keys(spec.datasets)) spec.datasets[key] = rowsOf(key, spec.datasets[key]);
    const facet = spec.facet;
    const inner = spec.spec || spec;
    let columns = 1;
    if (facet) {
      const present = new Set(spec.datasets.table.map((row) => row[facet.field]));
      const names = facet.sort.filter((name) => present.has(name)).slice(0, data.panels);
      facet.sort = names;
      spec.datasets.table = spec.datasets.table.filter((row) => names.includes(row[facet.field]));
      columns = Math.max(1, Math.min(spec.columns, names.length, Math.floor(width / 290)));
      spec.columns = columns;
    }
    if (typeof inner.width === "number") {
      const room = Math.floor((width - 28 * (columns - 1)) / columns) - 74;
      inner.width = facet ? Math.max(150, Math.min(room, columns === 1 ? 520 : 420)) : Math.max(150, Math.min(inner.width * 1.35, room));
      inner.width = Math.max(120, inner.width - less);
      if (typeof inner.height === "number" && inner.height > inner.width * 1.1) inner.height = inner.width;
    }
    if (facet && facet.header) facet.header.labelLimit = inner.width;
    narrowLegends(spec, width);
    return spec;
  }
  function narrowLegends(node, width) {
    if (!node || typeof node !== "object") return;
    for (const [key, value] of Object.entries(node)) {
      if (key === "datasets") continue;
      if (key === "legend" && value && value.orient === "top") {
        const longest = Math.max(...(node.scale?.domain || []).map((name) => String(name).length), 0);
        value.columns = Math.max(1, Math.floor(width / Math.max(115, 50 + 7 * longest)));
      }
      narrowLegends(value, width);
    }
  }
  async function draw(box) {
    const name = box.dataset.figure;
    if (!box.offsetWidth) return;
    const spec = specification(name, box.offsetWidth);
    if (!spec.datasets.table.length) {
      views.get(name)?.finalize();
      views.delete(name);
      box.textContent = "The filters above exclude all data of this figure.";
      return;
    }
    const mode = dark() ? "dark" : "light";
    const theme = structuredClone(data.themes[mode]);
    if (box.offsetWidth < 600) theme.legend.layout = { top: { direction: "vertical" } };  // otherwise the second legend is cut off
    const embed = (wanted) => vegaEmbed(box, wanted, {
      actions: false, renderer: "svg", logLevel: 1, config: theme, tooltip: { theme: mode }, ast: false,
    });
    let result = await embed(spec);
    const over = one("svg", box).getBoundingClientRect().width - box.clientWidth;
    if (over > 0) {  // the width of long names beside an axis is known only after drawing
      result.view.finalize();
      result = await embed(specification(name, box.offsetWidth, Math.ceil(over / (spec.facet ? spec.columns : 1)) + 1));
    }
    views.get(name)?.finalize();
    views.set(name, result.view);
    box.classList.remove("waiting");
    const drawn = one("svg", box);
    if (drawn) drawn.setAttribute("aria-hidden", "true");
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { watcher.unobserve(entry.target); entry.target.dataset.seen = "1"; draw(entry.target); }
    }
  }, { rootMargin: "500px" });
  const boxes = all(".chart");
  boxes.forEach((box) => { box.classList.add("waiting"); watcher.observe(box); });
  function redraw() { return Promise.all(boxes.filter((box) => box.dataset.seen).map(draw)); }
  let timer;
  let wide = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === wide) return;
    wide = innerWidth;
    clearTimeout(timer);
    timer = setTimeout(redraw, 200);
  });

  // ---------------------------------------------------------------------------------------------------- printing
  const PAPER = 680;  // pixels: A4 and Letter have more between their margins
  const printRules = one("#print");
  let opened = [];
  addEventListener("beforeprint", () => {  // sizes are measured under the print style, otherwise nothing fits the paper
    printing = true;
    printRules.media = "all";
    document.body.style.width = `${PAPER}px`;
    opened = all("details:not([open])");
    opened.forEach((details) => { details.open = true; });
    all(".scroll > table").forEach((table) => {
      const over = table.offsetWidth / table.parentElement.clientWidth;
      if (over > 1) table.style.zoom = 0.995 / over;
    });
    boxes.forEach((box) => { box.dataset.seen = "1"; });
    redraw().then(() => { document.body.style.width = ""; });  // no timers: this ends before the print
  });
  addEventListener("afterprint", () => {
    printing = false;
    printRules.media = "print";
    all(".scroll > table").forEach((table) => { table.style.zoom = ""; });
    opened.forEach((details) => { details.open = false; });
    redraw();
  });

  all("[data-tab]").forEach((tab) => tab.addEventListener("click", () => {
    all("[data-tab]", tab.parentElement).forEach((other) => {
      other.setAttribute("aria-pressed", String(other === tab));
      one(`#f-${CSS.escape(other.dataset.tab)}`).hidden = other !== tab;
    });
    const box = one(".chart", one(`#f-${CSS.escape(tab.dataset.tab)}`));
    if (box) { box.dataset.seen = "1"; draw(box); }
  }));
  all("[data-optimizer]").forEach((chip) => chip.addEventListener("click", () => {
    const name = chip.dataset.optimizer;
    if (hidden.has(name)) hidden.delete(name); else hidden.add(name);
    chip.setAttribute("aria-pressed", String(!hidden.has(name)));
    redraw();
    filter();
  }));
  all("[data-filter]").forEach((select) => select.addEventListener("change", () => {
    chosen[select.dataset.filter] = select.value;
    redraw();
    filter();
  }));

  // ------------------------------------------------------------------------------------------------------- files
  function save(name, url) {
    const link = document.createElement("a");
    link.download = name;
    link.href = url;
    link.click();
  }
  const quoted = (value) => (value === null || value === undefined ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  function csv(rows) {
    const names = [...new Set(rows.flatMap(Object.keys))];
    return [names.join(","), ...rows.map((row) => names.map((name) => quoted(row[name])).join(","))].join("\n") + "\n";
  }
  all("[data-save]").forEach((button) => button.addEventListener("click", async () => {
    const box = one(".chart", button.closest("figure"));
    const name = box.dataset.figure;
    const kind = button.dataset.save;
    if (kind === "csv") {
      save(`${name}.csv`, URL.createObjectURL(new Blob([csv(rowsOf("table", data.figures[name].spec.datasets.table))], { type: "text/csv" })));
    } else if (views.has(name)) {
      save(`${name}.${kind}`, await views.get(name).toImageURL(kind, 2));
    }
  }));

  // ------------------------------------------------------------------------------------------------------ tables
  function compare(a, b) {
    if (a === b) return 0;
    if (a === null || a === "") return 1;
    if (b === null || b === "") return -1;
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  }
  function mark(heads, place, ascending) {
    heads.forEach((head, index) => {
      if (index === place) head.setAttribute("aria-sort", ascending ? "ascending" : "descending"); else head.removeAttribute("aria-sort");
    });
  }
  all("table.sortable").forEach((table) => {
    const heads = all("th", table);
    heads.forEach((head, place) => one("button", head).addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      const value = (row) => { const cell = row.cells[place]; return cell.dataset.v !== undefined ? Number(cell.dataset.v) : cell.textContent; };
      const rows = all("tbody tr", table).sort((a, b) => {
        const order = compare(value(a), value(b));
        return value(a) === "" || value(b) === "" ? order : ascending ? order : -order;
      });
      one("tbody", table).append(...rows);
      mark(heads, place, ascending);
    }));
  });

  const runs = data.runs;
  const PAGE = 50;
  const get = (column, row) => (Array.isArray(column) ? column[row] : column.codes[row] < 0 ? null : column.names[column.codes[row]]);
  const table = one("#all");
  const status = runs.values[runs.columns.indexOf("status")];
  let order = runs.run_id.map((_, index) => index);
  let filtered = order;
  let first = 0;
  status.names.forEach((name) => one("#status").append(new Option(name)));
  function exponent(text) { return text.replace(/e([+-])(\d+)/, (_, sign, digits) => `e${sign === "-" ? "-" : ""}${Number(digits)}`); }
  // Numbers are formatted as by gdbench.report.table_cells.
  function number(value, digits) {
    const rounded = Number(value.toPrecision(digits)), size = Math.abs(rounded);
    return rounded === 0 || (size >= 1e-4 && size < 1e4) ? String(rounded) : exponent(rounded.toExponential());
  }
  function figure(value) {
    return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en") : number(value, 3);
  }
  function gap(value) { return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2"); }
  function time(value) {
    const [scale, unit] = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]].find(([s]) => Number(value.toPrecision(3)) >= s) || [1e-9, "ns"];
    const scaled = value / scale;
    return `${scaled >= 1000 ? Math.round(scaled) : scaled.toPrecision(3)} ${unit}`;
  }
  function cell(kind, value) {
    if (value === null) return "";
    return kind === "time" ? time(value) : kind === "gap" ? gap(value) : kind === "number" ? number(value, 4) : kind === "figure" ? figure(value) : value;
  }
  const heads = [];
  const head = document.createElement("tr");
  runs.columns.forEach((name, place) => {
    const th = document.createElement("th");
    th.scope = "col";
    th.className = runs.kinds[place] === "text" ? "l" : "r";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => sort(place));
    th.append(button);
    heads.push(th);
    head.append(th);
  });
  const last = document.createElement("th");
  last.scope = "col";
  last.className = "l";
  last.textContent = "run_id";
  head.append(last);
  one("thead", table).replaceChildren(head);
  function sort(place) {
    const ascending = heads[place].getAttribute("aria-sort") !== "ascending";
    const column = runs.values[place];
    order = order.slice().sort((a, b) => {
      const [x, y] = [get(column, a), get(column, b)];
      const result = compare(x, y);
      return x === null || y === null ? result : ascending ? result : -result;
    });
    mark(heads, place, ascending);
    filter();
  }
  function filter() {
    const words = one("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = one("#status").value;
    filtered = order.filter((row) => {
      if (hidden.has(get(runs.optimizer, row)) || (wanted && get(status, row) !== wanted)) return false;
      if (chosen.objective && get(runs.objective, row) !== chosen.objective) return false;
      if (chosen.dtype && get(runs.dtype, row) !== chosen.dtype) return false;
      if (!words.length) return true;
      const text = [runs.run_id[row], ...runs.values.map((column, place) => (runs.kinds[place] === "text" ? get(column, row) : ""))].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    first = 0;
    show();
  }
  const BAD = ["diverged", "nonfinite", "timeout", "failed"];
  function show() {
    const body = one("tbody", table);
    body.replaceChildren(...filtered.slice(first, first + PAGE).map(line));
    one("#count").textContent = `${filtered.length.toLocaleString("en")} of ${order.length.toLocaleString("en")} runs`;
    one("#where").textContent = filtered.length ? `${first + 1} to ${Math.min(first + PAGE, filtered.length)}` : "none";
    one("#previous").disabled = first === 0;
    one("#next").disabled = first + PAGE >= filtered.length;
    one(".pager").hidden = order.length <= PAGE;
  }
  function line(row) {
    const tr = document.createElement("tr");
    runs.values.forEach((column, place) => {
      const td = document.createElement("td");
      td.className = runs.kinds[place] === "text" ? "l" : "r";
      td.textContent = cell(runs.kinds[place], get(column, row));
      if (column === status && BAD.includes(td.textContent)) td.classList.add("bad");
      tr.append(td);
    });
    const td = document.createElement("td");
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    more.textContent = runs.run_id[row].slice(0, 8);
    more.setAttribute("aria-expanded", "false");
    more.setAttribute("aria-label", `Details of run ${runs.run_id[row].slice(0, 8)}`);
    more.addEventListener("click", () => {
      const open = more.getAttribute("aria-expanded") === "true";
      more.setAttribute("aria-expanded", String(!open));
      if (open) tr.nextElementSibling.remove(); else tr.after(details(row));
    });
    td.append(more);
    tr.append(td);
    return tr;
  }
  function details(row) {
    const tr = document.createElement("tr");
    tr.className = "details";
    const td = document.createElement("td");
    td.colSpan = runs.columns.length + 1;
    const error = get(runs.error, row);
    const add = (tag, text) => { const node = document.createElement(tag); node.textContent = text; td.append(node); return node; };
    if (error) add("p", error);
    add("p", "All columns of this run, and the command that repeats it:");
    add("code", `python -m gdbench show ${runs.run_id[row].slice(0, 12)}`);
    add("code", runs.command[row]);
    const link = add("a", "configuration of its cell");
    link.href = get(runs.file, row);
    tr.append(td);
    return tr;
  }
  one("#search").addEventListener("input", filter);
  one("#status").addEventListener("change", filter);
  one("#previous").addEventListener("click", () => { first -= PAGE; show(); });
  one("#next").addEventListener("click", () => { first += PAGE; show(); });
  show();
  showTheme();
})();
