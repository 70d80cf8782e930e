// Puts Bokeh's charts on the page and answers to the explorer's controls. All text goes in as text, never as markup.
"use strict";
(async () => {
  const find = (id) => document.getElementById(id);
  const bytes = Uint8Array.from(atob(find("data").textContent), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const { charts, columns } = await new Response(unpacked).json();

  // ---- Charts: each is drawn when it comes near the window, in the colours of the page.

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const drawn = new Map(); // place -> its document

  function dress(doc) {
    for (const model of doc.roots().flatMap((root) => [...root.references()])) {
      if (model.type === "Figure") {
        model.setv({ background_fill_color: null, border_fill_color: null, outline_line_color: null });
      } else if (model.type.endsWith("Axis")) {
        model.setv({
          axis_line_color: colour("soft"), major_tick_line_color: colour("soft"), minor_tick_line_color: null,
          major_label_text_color: colour("text"), axis_label_text_color: colour("text"),
          axis_label_text_font_style: "normal",
        });
      } else if (model.type === "Grid") {
        model.setv({ grid_line_color: colour("faint") });
      } else if (model.type === "Legend") {
        model.setv({
          label_text_color: colour("text"), background_fill_color: colour("paper"), background_fill_alpha: 0.7,
          border_line_color: null, inactive_fill_color: colour("paper"),
        });
        if (model.ncols > 2 && innerWidth < 720) model.ncols = 2;
      } else if (model.type === "Text") {
        model.setv({ text_color: colour("text") });
      } else if (model.type === "GlyphRenderer" && model.name === "circles") {
        model.glyph.setv({ fill_color: colour("paper"), line_color: colour("text") });
      }
    }
  }

  const { Document } = Bokeh.require("document");

  // The chart of a place, ready but not yet to be seen.
  function opened(place) {
    if (!drawn.has(place)) {
      const { doc, cells } = charts[Number(place.slice("chart".length))];
      drawn.set(place, Document.from_json(doc));
      dress(drawn.get(place));
      if (cells.length) drawCells(drawn.get(place), cells);
    }
    return drawn.get(place);
  }

  async function draw(place) {
    const doc = opened(place);
    if (doc.views_manager == null) await Bokeh.embed.add_document_standalone(doc, find(place));
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(dress));

  // ---- A genotype: nodes in a row, forward edges above, those that come one timestep later below.

  const model = (doc, name) => doc.get_model_by_name(name);

  function drawCells(doc, cells) {
    const arcs = { x0: [], y0: [], x1: [], y1: [], cx: [], cy: [], color: [] };
    const heads = { x: [], y: [], angle: [], color: [] };
    const nodes = { x: [], y: [], text: [] };
    const words = { x: [], y: [], text: [], baseline: [] };
    let bottom = 0, widest = 0;
    for (const [count, edges] of cells) {
      const beside = new Map();
      const spans = edges.map(([source, target]) => {
        const times = beside.get(`${source} ${target}`) ?? 0;
        beside.set(`${source} ${target}`, times + 1);
        return target - source + Math.sign(target - source) * 0.7 * times;
      });
      const level = bottom - Math.max(...spans, 0) - 0.9;
      for (let node = 0; node < count; node++) {
        nodes.x.push(node); nodes.y.push(level); nodes.text.push(String(node));
      }
      edges.forEach(([source, target, operation], at) => {
        const forward = target > source, top = level + spans[at], middle = (source + target) / 2;
        const shade = forward ? "#3d9bd6" : "#d55e00";
        arcs.x0.push(source); arcs.y0.push(level); arcs.x1.push(target); arcs.y1.push(level);
        arcs.cx.push(middle); arcs.cy.push(level + 2 * spans[at]); arcs.color.push(shade);
        heads.x.push(middle); heads.y.push(top); heads.color.push(shade);
        heads.angle.push(forward ? -Math.PI / 2 : Math.PI / 2);
        words.x.push(middle); words.y.push(top + (forward ? 0.16 : -0.16)); words.text.push(operation);
        words.baseline.push(forward ? "bottom" : "top");
      });
      bottom = level + Math.min(...spans, 0) - 0.6;
      widest = Math.max(widest, count);
    }
    const chart = model(doc, "genotype");
    chart.x_range.setv({ start: -0.5, end: Math.max(widest, 2) - 0.5 });
    chart.y_range.setv({ start: bottom, end: 0 });
    chart.height = Math.round(10 + 34 * -bottom);
    find(chart.tags[0]).style.minHeight = `${chart.height}px`;
    Object.entries({ arcs, heads, nodes, words }).forEach(([name, data]) => { model(doc, name).data = data; });
  }

  // ---- The explorer.

  function explore(doc, genotype) {
    const { axes, trials, stages, verdicts } = columns;
    const front = new Set(trials.front), rows = trials.id.map((_, row) => row);
    const axis = (name) => axes[Number(find(name).value)];
    const number = (axis, value) => {
      if (value === null) return "";
      if (axis.share) return `${(100 * value).toFixed(2)} %`;
      const shown = Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
      return axis.unit && axis.unit.length < 6 ? `${shown} ${axis.unit}` : shown;
    };
    const named = (axis) => (axis.unit ? `${axis.name} (${axis.unit})` : axis.name);
    const group = (row) => {
      const stage = stages[trials.stage[row]];
      if (stage.startsWith("baseline")) return "baseline";
      const [state] = verdicts[trials.verdict[row]];
      if (state !== "fits") return state;
      if (stage === "retrain") return "returned";
      return front.has(row) ? "front of the search" : "fits";
    };
    const groups = rows.map(group);
    const cellsOf = (row) => trials.cells[row].map((place) => {
      const [count, ...numbers] = columns.cells[place];
      const edges = [];
      for (let at = 0; at < numbers.length; at += 3) {
        edges.push([numbers[at], numbers[at + 1], columns.operations[numbers[at + 2]]]);
      }
      return [count, edges];
    });
    const operations = columns.cells.map(([, ...numbers]) => numbers.filter((_, at) => at % 3 === 2));

    // Whether a trial passes all filters, as they stand now.
    function filters() {
      const verdict = find("verdict").value, stage = find("stage").value, text = find("search").value.trim();
      const limit = verdict.startsWith("limit ") ? verdict.slice("limit ".length) : null;
      const verdictPasses = verdicts.map(([state, broken]) =>
        limit !== null ? broken.includes(limit) : verdict === "" || verdict === state);
      const wanted = columns.operations.map((name) => name.includes(text));
      const cellPasses = operations.map((places) => places.some((place) => wanted[place]));
      const limits = axes.map((axis, at) => [axis, find(`limit${at}`)?.value ?? ""]).filter(([, value]) => value !== "");
      return (row) => verdictPasses[trials.verdict[row]] && (stage === "" || trials.stage[row] === Number(stage)) &&
        (text === "" || trials.key[row].includes(text) || trials.cells[row].some((cell) => cellPasses[cell])) &&
        limits.every(([axis, limit]) => {
          const value = axis.values[row];
          return value !== null && (axis.more ? value >= Number(limit) : value <= Number(limit));
        });
    }

    // Those of the points that fit which no other one beats in both axes, as a staircase.
    function staircase(points, across, up) {
      if (across.more === null || up.more === null) return { x: [], y: [] };
      const x = { sign: across.more ? -1 : 1, values: across.values };
      const y = { sign: up.more ? -1 : 1, values: up.values };
      const kept = points.filter((row) => groups[row] === "fits" || groups[row] === "front of the search");
      kept.sort((a, b) => x.sign * (x.values[a] - x.values[b]) || y.sign * (y.values[a] - y.values[b]));
      const line = { x: [], y: [] };
      let best = Infinity;
      for (const row of kept) {
        if (y.sign * y.values[row] < best) {
          if (line.x.length) { line.x.push(x.values[row]); line.y.push(line.y.at(-1)); }
          line.x.push(x.values[row]); line.y.push(y.values[row]);
          best = y.sign * y.values[row];
        }
      }
      return line;
    }

    const sources = ["failed", "over budget", "fits", "front of the search", "baseline", "returned"];

    function refresh() {
      const across = axis("across"), up = axis("up");
      const chosen = rows.filter(filters());
      const placed = chosen.filter((row) => across.values[row] !== null && up.values[row] !== null);
      for (const name of sources) {
        const members = placed.filter((row) => groups[row] === name);
        model(doc, name).selected.indices = [];
        model(doc, name).data = {
          x: members.map((row) => across.values[row]), y: members.map((row) => up.values[row]), row: members,
          key: members.map((row) => trials.key[row]), verdict: members.map(said),
          across: members.map((row) => `${across.name} ${number(across, across.values[row])}`),
          up: members.map((row) => `${up.name} ${number(up, up.values[row])}`),
        };
      }
      model(doc, "line").data = staircase(placed, across, up);
      const chart = model(doc, "explorer");
      chart.below.find((one) => one.type === "LinearAxis").axis_label = named(across);
      chart.left[0].axis_label = named(up);
      for (const [name, { limit }] of [["limit x", across], ["limit y", up]]) {
        model(doc, name).setv({ visible: limit !== null, location: limit ?? 0 });
      }
      const away = chosen.length - placed.length;
      find("count").textContent = `${placed.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} ` +
        `trials shown${away ? `; ${away.toLocaleString("en")} more have no value on these axes` : ""}. ` +
        "Point at one to see its network, click or tap to keep it; click the legend to hide a group.";
    }

    function said(row) {
      const [state, broken] = verdicts[trials.verdict[row]];
      return broken.length ? `${state}: ${broken.join(", ")}` : state;
    }

    const entry = (tag, text) => { const made = document.createElement(tag); made.textContent = text; return made; };

    function show(row) {
      const list = document.createElement("dl");
      const pairs = [["stage", stages[trials.stage[row]]], ["verdict", said(row)]];
      for (const axis of axes) {
        const value = axis.values[row];
        if (value === null) continue;
        const limit = axis.limit === null ? "" : ` ${axis.more ? "of at least" : "of"} ${number(axis, axis.limit)}`;
        pairs.push([axis.name, number(axis, value) + limit]);
      }
      const choice = columns.choices[trials.choices[row]];
      if (choice) pairs.push(["chosen", choice]);
      for (const [name, text] of pairs) list.append(entry("dt", name), entry("dd", text));
      const cells = cellsOf(row);
      find("facts").replaceChildren(entry("strong", trials.key[row]), list);
      if (cells.length) drawCells(genotype, cells);
    }

    for (const name of sources) {
      const source = model(doc, name);
      source.inspect.connect(() => {
        const [first] = source.inspected.indices;
        const kept = sources.some((other) => model(doc, other).selected.indices.length);
        if (first !== undefined && !kept) show(source.data.row[first]);
      });
      source.selected.properties.indices.change.connect(() => {
        const [first] = source.selected.indices;
        if (first !== undefined) show(source.data.row[first]);
      });
    }
    for (const item of model(doc, "explorer").select({ type: "LegendItem" })) {
      if (sources.includes(item.label.value)) item.visible = groups.includes(item.label.value);
    }
    find("controls").addEventListener("input", refresh);
    find("controls").addEventListener("submit", (event) => event.preventDefault());
    refresh();
    const best = trials.front[0] ?? groups.indexOf("returned");
    if (best >= 0) show(best);
  }

  if (columns) {
    const [chart, genotype] = [...document.querySelectorAll(".side .chart")].map((place) => place.id);
    explore(opened(chart), opened(genotype));
    await draw(chart);
    await draw(genotype);
  }
  requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("explorer drawn")));
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target.id);
  }, { rootMargin: "400px" });
  document.querySelectorAll(".chart").forEach((place) => near.observe(place));
})();
