"use strict";
// The page draws three things from the numbers in #data: a quantity against depth at one training step, a map of it
// over depth and step, and picked layers over time. `state` is all that a person has chosen.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (name) => document.getElementById(name);
const quantityOf = Object.fromEntries(data.quantities.map((q) => [q.name, q]));
const steps = [...new Set(data.runs.flatMap((run) => run.step))].sort((a, b) => a - b);
const state = {
  quantity: data.quantities[0].name, kind: "", at: 0, first: false, fit: false, mapped: 0,
  shown: data.runs.map(() => true), picked: new Set(),
};
const INK = "#333", GRID = "#e6e6e6";
const CONFIG = {
  displaylogo: false, responsive: true, displayModeBar: "hover", toImageButtonOptions: { format: "svg" },
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
};

// ---- choosing ------------------------------------------------------------------------------------------------------
function rowOf(run) {  // index of the last recorded step that is not after the slider; -1 if there is none
  let row = -1;
  while (row + 1 < run.step.length && run.step[row + 1] <= steps[state.at]) row += 1;
  return row;
}

function chosen(run, name) {  // indices of the layers that are drawn: of one kind, or one for each depth
  const axes = run.axes[name];
  if (!axes) return [];
  const places = run[axes], rows = run.values[name];
  const there = (k) => rows.some((row) => row[k] !== null) || (axes !== "TB" && name.startsWith("gradient"));
  let numbers = places.name.map((_, k) => k).filter(there);
  if (axes === "TB") return numbers;
  if (state.kind) return numbers.filter((k) => places.kind[k] === state.kind);
  if (axes === "TL") numbers = beforeTheNext(places.depth).reverse().filter(there);  // the last output, the first parameter
  const first = new Map();
  for (const k of numbers) if (places.depth[k] > 0 || axes === "TL") if (!first.has(places.depth[k])) first.set(places.depth[k], k);
  return [...first.values()].sort((a, b) => places.depth[a] - places.depth[b] || a - b);
}

function beforeTheNext(depth) {  // layers of each depth up to where the forward pass first leaves that depth
  const left = new Set(), kept = [];
  depth.forEach((level, k) => {
    if (k && level !== depth[k - 1]) left.add(depth[k - 1]);
    if (!left.has(level)) kept.push(k);
  });
  return kept;
}

function visible() { return data.runs.filter((_, number) => state.shown[number]); }

function limits(name, fit) {  // of all visible runs at all steps, so that the axis stands still; or, to fit, at this one
  let low = Infinity, high = -Infinity;
  const rowsOf = (run) => (fit ? run.values[name].filter((_, row) => row === rowOf(run) || (state.first && row === 0)) : run.values[name]);
  for (const run of visible()) for (const k of chosen(run, name)) for (const row of rowsOf(run)) {
    const value = row[k];
    if (value === null || (quantityOf[name].log && !(Math.abs(value) > 0))) continue;
    const size = quantityOf[name].log ? Math.abs(value) : value;
    low = Math.min(low, size); high = Math.max(high, size);
  }
  if (!(low <= high)) return quantityOf[name].log ? [1e-1, 1] : [0, 1];
  return [low, high];
}

// ---- drawing -------------------------------------------------------------------------------------------------------
function layout(x, y, log, range) {
  return {
    margin: { l: 74, r: 16, t: 34, b: 48 }, font: { color: INK, size: 13, family: getComputedStyle(document.body).fontFamily }, hovermode: "closest",
    xaxis: { title: { text: x }, gridcolor: GRID, zeroline: false },
    yaxis: { title: { text: y }, gridcolor: GRID, zeroline: false, type: log ? "log" : "linear", range,
      exponentformat: "power", dtick: log && range && range[1] - range[0] > 2 ? 1 : undefined },
    paper_bgcolor: "#fff", plot_bgcolor: "#fff",
  };
}

function axisRange(name, fit) {
  const [low, high] = limits(name, fit), log = quantityOf[name].log;
  const [a, b] = log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const pad = Math.max(0.06 * (b - a), log ? 0.08 : 0.02 * Math.max(Math.abs(a), Math.abs(b), 1e-9));
  return [a - pad, b + pad];
}

// A line through what has a place on the axis, and marks for what has none: zeros on the floor of a logarithmic axis,
// broken numbers at the ceiling.
function lines(x, values, names, log, range, style) {
  const floor = log ? 10 ** range[0] : range[0], ceiling = log ? 10 ** range[1] : range[1];
  const placed = (v) => v !== null && !(log && v === 0);
  const outside = x.map((_, i) => i).filter((i) => !placed(values[i]));
  const hover = { cliponaxis: false, type: "scatter", hovertemplate: `%{customdata}, at %{x}<br>%{text}<extra>${style.title}</extra>` };
  const said = (v) => (v === null ? "NaN, infinite or not measured" : v === 0 ? "exactly 0" : v.toPrecision(4));
  const drawn = [{
    ...hover, mode: "lines+markers", name: style.title, x, y: values.map((v) => (placed(v) ? (log ? Math.abs(v) : v) : null)),
    customdata: names, text: values.map(said), opacity: style.opacity, showlegend: !style.silent,
    line: { color: style.colour, dash: style.dash, width: style.width },
    marker: { color: names.map((name) => (style.picks && state.picked.has(name) ? "#000" : style.colour)), size: style.point },
  }];
  if (outside.length) {
    drawn.push({
      ...hover, mode: "markers", x: outside.map((i) => x[i]), y: outside.map((i) => (values[i] === null ? ceiling : floor)),
      customdata: outside.map((i) => names[i]), text: outside.map((i) => said(values[i])), showlegend: false,
      opacity: style.opacity,
      marker: { color: style.colour, size: 9, symbol: outside.map((i) => (values[i] === null ? "x-thin-open" : "triangle-down-open")), line: { width: 2 } },
    });
  }
  return drawn;
}

function crowded(run, name, numbers) {  // several layers at one depth: number them instead
  return new Set(numbers.map((k) => run[run.axes[name]].depth[k])).size < numbers.length;
}

function across(run, name, numbers) {
  return crowded(run, name, numbers) ? numbers.map((_, i) => i + 1) : numbers.map((k) => run[run.axes[name]].depth[k]);
}

function drawDepth() {
  const name = state.quantity, q = quantityOf[name], range = axisRange(name, state.fit), traces = [];
  let along = "depth (weighted layers up to here)";
  for (const run of visible()) {
    const numbers = chosen(run, name), row = rowOf(run);
    if (!numbers.length || row < 0) continue;
    const names = numbers.map((k) => run[run.axes[name]].name[k]);
    if (crowded(run, name, numbers)) along = "layer, in the order of the forward pass";
    for (const each of state.first && row > 0 ? [0, row] : [row]) {
      const last = each === row;
      traces.push(...lines(across(run, name, numbers), numbers.map((k) => run.values[name][each][k]), names, q.log, range, {
        title: `${run.label}, step ${run.step[each]}`, colour: run.colour, dash: run.family === "plain" ? "dash" : "solid",
        width: last ? 2.5 : 1, point: last ? 6 : 3, opacity: last ? 1 : 0.55, picks: true,
      }));
    }
  }
  const shape = layout(along, q.label, q.log, range);
  shape.title = { text: `${q.title}, step ${steps[state.at]}`, x: 0, xref: "paper", font: { size: 15 } };
  shape.showlegend = false;  // the boxes at the top of the page are one
  Plotly.react("depth", traces, shape, CONFIG);
}

function drawMap() {
  const name = state.quantity, q = quantityOf[name], run = data.runs[state.mapped], numbers = chosen(run, name);
  const places = run.axes[name] ? run[run.axes[name]] : null;
  const [low, high] = limits(name);
  const log = (v) => (v === null ? null : q.log ? (v === 0 ? Math.log10(low) - 1 : Math.log10(Math.abs(v))) : v);
  const ends = q.log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const ticks = [];
  if (q.log) for (let p = Math.ceil(ends[0]); p <= ends[1]; p += Math.max(1, Math.ceil((ends[1] - ends[0]) / 7))) ticks.push(p);
  const trace = {
    type: "heatmap", colorscale: "Cividis", zmin: ends[0], zmax: ends[1], hoverongaps: true,
    x: numbers.length ? across(run, name, numbers) : [], y: run.step,
    z: numbers.length ? run.values[name].map((row) => numbers.map((k) => log(row[k]))) : [],
    customdata: numbers.length ? run.values[name].map((row) => numbers.map((k) => `${places.name[k]}<br>${row[k] === null ? "NaN, infinite or not measured" : row[k]}`)) : [],
    hovertemplate: "step %{y}, depth %{x}<br>%{customdata}<extra></extra>",
    colorbar: ticks.length > 1 ? { tickvals: ticks, ticktext: ticks.map((p) => `10<sup>${p}</sup>`), thickness: 14 } : { thickness: 14, tickvals: q.log ? ends : undefined, ticktext: q.log ? ends.map((e) => (10 ** e).toPrecision(2)) : undefined },
  };
  const shape = layout("depth", "training step", false, undefined);
  shape.title = { text: numbers.length ? `${q.label}: ${run.label}` : `${run.label} holds no ${q.title.toLowerCase()}`, x: 0, xref: "paper", font: { size: 14 } };
  shape.plot_bgcolor = "#d55e00";  // cells that are not finite let it through
  if (!numbers.length) shape.plot_bgcolor = "#fff";
  shape.xaxis.showgrid = shape.yaxis.showgrid = false;
  shape.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: steps[state.at], y1: steps[state.at], line: { color: "#fff", width: 2 } }];
  Plotly.react("map", numbers.length ? [trace] : [], shape, CONFIG);
}

const DASH = ["solid", "dot", "dashdot", "longdash", "dash"];
function drawTime() {
  const name = state.quantity, q = quantityOf[name], traces = [], layers = [...state.picked];
  const range = layers.length ? axisRange(name) : undefined;
  for (const run of visible()) {
    if (!layers.length) {
      traces.push({ type: "scatter", mode: "lines", name: run.label, x: run.step, y: run.loss, line: { color: run.colour, width: 2, dash: run.family === "plain" ? "dash" : "solid" } });
      continue;
    }
    if (!run.axes[name]) continue;
    layers.forEach((layer, number) => {
      const k = run[run.axes[name]].name.indexOf(layer);
      if (k < 0) return;
      const values = run.values[name].map((row) => row[k]);
      traces.push(...lines(run.step, values, values.map(() => layer), q.log, range, {
        title: `${run.label}: ${layer}`, colour: run.colour, dash: DASH[number % DASH.length], width: 2, point: 3, opacity: 1, silent: true,
      }));
    });
  }
  const shape = layout("training step", layers.length ? q.label : "loss", layers.length ? q.log : false, range);
  shape.title = { text: layers.length ? `${q.title} of the picked layers` : "Loss (pick layers to see them here)", x: 0, xref: "paper", font: { size: 14 } };
  layers.forEach((layer, number) => traces.push({  // the boxes at the top of the page say whose colour it is
    type: "scatter", mode: "lines", x: [null], y: [null], name: layer, line: { color: INK, width: 2, dash: DASH[number % DASH.length] },
  }));
  shape.margin.b = 92;
  shape.legend = { orientation: "h", y: -0.3, yanchor: "top", x: 0 };
  shape.showlegend = layers.length > 0;
  shape.shapes = [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: steps[state.at], x1: steps[state.at], line: { color: "#888", width: 1, dash: "dot" } }];
  Plotly.react("time", traces, shape, CONFIG);
}

function draw() {
  const q = quantityOf[state.quantity];
  byId("at").textContent = `step ${steps[state.at]} of ${steps[steps.length - 1]}`;
  byId("definition").textContent = `${q.title}, ${q.label}: ${q.definition}`;
  drawDepth(); drawMap(); drawTime();
}

// ---- controls ------------------------------------------------------------------------------------------------------
function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
}

function listLayers() {
  const names = [...new Set(data.runs.flatMap((run) => chosen(run, state.quantity).map((k) => run[run.axes[state.quantity]].name[k])))];
  state.picked = new Set([...state.picked].filter((name) => names.includes(name)));
  options(byId("layers"), names.map((name) => [name, name]));
  for (const option of byId("layers").options) option.selected = state.picked.has(option.value);
}

function listKinds() {
  const kinds = [...new Set(data.runs.flatMap((run) => (run.axes[state.quantity] ? run[run.axes[state.quantity]].kind : [])))].filter((kind) => kind && kind !== "block");
  options(byId("kind"), [["", kinds.length ? "one for each depth" : "all blocks"], ...kinds.map((kind) => [kind, `all ${kind}`])]);
  state.kind = kinds.includes(state.kind) ? state.kind : "";
  byId("kind").value = state.kind;
}

function start() {
  options(byId("quantity"), data.quantities.map((q) => [q.name, `${q.title} ${q.label}`]));
  options(byId("mapped"), data.runs.map((run, number) => [number, run.label]));
  byId("step").max = steps.length - 1;
  byId("note").textContent = data.note;
  byId("trouble").textContent = data.runs.filter((run) => run.trouble).map((run) => `${run.label}: ${run.trouble}`).join(" ");
  byId("runs").replaceChildren(...data.runs.map((run, number) => {
    const label = document.createElement("label"), box = document.createElement("input"), line = document.createElement("i");
    box.type = "checkbox"; box.checked = true; line.style.borderColor = run.colour; line.className = run.family;
    box.addEventListener("change", () => { state.shown[number] = box.checked; draw(); });
    label.append(box, line, run.label);
    return label;
  }));
  byId("definitions").replaceChildren(...data.quantities.flatMap((q) => {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = `${q.title}, ${q.label}`; text.textContent = q.definition;
    return [term, text];
  }));
  const keys = [...new Set(data.runs.flatMap((run) => Object.keys(run.meta)))], table = document.createElement("table");
  for (const key of ["", ...keys]) {
    const row = table.insertRow();
    for (const text of [key, ...data.runs.map((run) => (key ? run.meta[key] ?? "" : run.label))]) row.insertCell().textContent = text;
  }
  byId("metas").replaceChildren(table);
  byId("quantity").addEventListener("change", (event) => { state.quantity = event.target.value; listKinds(); listLayers(); draw(); });
  byId("kind").addEventListener("change", (event) => { state.kind = event.target.value; listLayers(); draw(); });
  byId("mapped").addEventListener("change", (event) => { state.mapped = Number(event.target.value); drawMap(); });
  byId("first").addEventListener("change", (event) => { state.first = event.target.checked; drawDepth(); });
  byId("fit").addEventListener("change", (event) => { state.fit = event.target.checked; drawDepth(); });
  byId("step").addEventListener("input", (event) => { state.at = Number(event.target.value); draw(); });
  byId("layers").addEventListener("change", (event) => { state.picked = new Set([...event.target.selectedOptions].map((o) => o.value)); draw(); });
  let timer = null;
  byId("play").addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = null; byId("play").textContent = "▶"; return; }
    byId("play").textContent = "❚❚";
    timer = setInterval(() => {
      state.at = (state.at + 1) % steps.length; byId("step").value = state.at; draw();
    }, 120);
  });
  listKinds(); listLayers(); draw();
  byId("depth").on("plotly_click", (event) => {
    const name = event.points[0].customdata;
    if (!state.picked.delete(name)) state.picked.add(name);
    listLayers(); draw();
  });
}

start();
