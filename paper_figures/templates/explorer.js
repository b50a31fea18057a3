// The report's explorer: choosing a curve, drawing it, reading it at one J. It fetches nothing and writes text only.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const byId = (id) => document.getElementById(id);
  const source = byId("explorer-data");
  const app = byId("explorer-app");
  if (!source || !app) return;
  const data = JSON.parse(source.textContent);
  if (!data.curves.length) return;

  const chosen = {};
  let curve = null;
  let places = []; // log2 J at which the curve can be read
  let at = null; // the one that is read

  // Text

  const number = (value) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(3))));
  const outputs = (bits) => {
    if (bits < 20) return String(Math.round(2 ** bits));
    return `2^${Number(bits.toFixed(1))}`;
  };
  const raised = (bits) => {
    if (bits < 13.5) return String(Math.round(2 ** bits));
    return "2" + Number(bits.toFixed(1)).toString().replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]);
  };
  const interval = (low, high) =>
    low === null || high === null || low === undefined ? "" : ` [${number(low)}, ${number(high)}]`;
  const words = (key, value) => (data.words[key] || {})[value] || String(value);

  // Numbers at one J

  const near = (a, b) => Math.abs(a - b) < 1e-4;
  const pointAt = (bits) => curve.points.find((point) => near(point[0], bits));
  const law = () => (curve.law === null ? null : data.laws[curve.law]);
  const lawAt = (bits) => {
    const index = law() ? law().bits.findIndex((value) => near(value, bits)) : -1;
    return index < 0 ? null : curve.curve.map((row) => row[index]);
  };
  const limitAt = (name, bits) => curve.limits[name].find((pair) => near(pair[0], bits));
  const beyond = (bits) => bits < law().measured[0] - 1e-4 || bits > law().measured[1] + 1e-4;

  // Elements

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }
  function cell(name, text, scope) {
    const made = document.createElement(name);
    if (scope) made.scope = scope;
    made.textContent = text;
    return made;
  }

  // Choosing: each choice leaves the curves that have it, and the next one offers what these have

  function richest(curves) {
    const worth = (one) => one.points.length + (one.law === null ? 0 : 0.5) + (one.head ? 0.25 : 0);
    return curves.reduce((best, one) => (worth(one) > worth(best) ? one : best));
  }
  function choose() {
    let left = data.curves;
    for (const key of data.keys) {
      const values = [...new Set(left.map((one) => one[key]))];
      const kept = values.includes(chosen[key]) ? chosen[key] : richest(left)[key];
      const select = byId(`choose-${key}`);
      select.replaceChildren(
        ...values.map((value, index) => {
          const option = cell("option", words(key, value));
          option.value = String(index);
          option.selected = value === kept;
          return option;
        }),
      );
      select.onchange = () => {
        for (const later of data.keys.slice(0, data.keys.indexOf(key) + 1)) chosen[later] = curve[later];
        chosen[key] = values[Number(select.value)];
        choose();
      };
      byId(`field-${key}`).hidden = values.length === 1 && values[0] === "";
      left = left.filter((one) => one[key] === kept);
    }
    curve = left[0];
    const read = [...curve.points.map((point) => point[0]), ...(law() ? law().bits : [])].sort((a, b) => a - b);
    places = read.filter((bits, index) => index === 0 || !near(bits, read[index - 1]));
    const wanted = at === null ? curve.points[Math.floor((curve.points.length - 1) / 2)][0] : at;
    const slider = byId("explorer-at");
    slider.max = String(places.length - 1);
    slider.value = String(closest(wanted));
    table();
    legend();
    byId("explorer-law").textContent = law()
      ? `The line is law ${law().name}, fitted to all J and I of this arm. ${law().statement}`
      : "No law was fitted to these rows: they are too few, or not the main ones of their arm.";
    show();
  }
  function closest(bits) {
    let best = 0;
    places.forEach((place, index) => {
      if (Math.abs(place - bits) < Math.abs(places[best] - bits)) best = index;
    });
    return best;
  }

  // Saying

  function series() {
    const look = (name) => `limit limit-${name in data.looks ? data.looks[name] : 3}`;
    const limits = Object.keys(curve.limits).map((name) => ({ name, look: look(name), limit: true }));
    const found = [{ name: "measured", look: "measured" }];
    if (law()) found.push({ name: `law ${law().name}`, look: "law" });
    return [...found, ...limits];
  }
  function summary() {
    const point = pointAt(at);
    const foretold = lawAt(at);
    const parts = [];
    if (point) parts.push(`measured ${number(point[1])}${interval(point[2], point[3])}, ${point[4]} trials`);
    else parts.push("not measured");
    if (foretold) {
      const far = beyond(at) ? ", beyond the J that were run" : "";
      parts.push(`law ${law().name} ${number(foretold[1])}${interval(foretold[0], foretold[2])}${far}`);
    }
    for (const name of Object.keys(curve.limits)) {
      const pair = limitAt(name, at);
      if (pair) parts.push(`${name} ${number(pair[1])}`);
    }
    const who = [curve.learner, curve.head && `head ${curve.head}`, curve.task].filter(Boolean).join(", ");
    return `Study ${curve.study}, ${who}, I = ${curve.inputs}, J = ${outputs(at)}: ${curve.score} ${parts.join("; ")}.`;
  }
  function table() {
    const whole = byId("explorer-table");
    const names = Object.keys(curve.limits);
    const head = ["J", "measured [95% interval]", "trials"];
    if (law()) head.push(`law ${law().name} [95% interval]`);
    const top = document.createElement("tr");
    top.append(...[...head, ...names].map((name) => cell("th", name, "col")));
    const rows = [...places];
    for (const name of names) {
      for (const [bits] of curve.limits[name]) if (!rows.some((place) => near(place, bits))) rows.push(bits);
    }
    rows.sort((a, b) => a - b);
    whole.tBodies[0].replaceChildren(
      ...rows.map((bits) => {
        const row = document.createElement("tr");
        const point = pointAt(bits) || [];
        const told = lawAt(bits);
        const texts = [number(point[1]) + interval(point[2], point[3]), String(point[4] || "")];
        if (law()) texts.push(told ? number(told[1]) + interval(told[0], told[2]) : "");
        texts.push(...names.map((name) => number((limitAt(name, bits) || [])[1])));
        row.append(cell("th", outputs(bits), "row"), ...texts.map((text) => cell("td", text)));
        return row;
      }),
    );
    whole.tHead.replaceChildren(top);
    whole.caption.textContent = `${curve.score}, study ${curve.study}, ${curve.learner}, I = ${curve.inputs}`;
  }
  function legend() {
    byId("explorer-legend").replaceChildren(
      ...series().map((one) => {
        const item = document.createElement("li");
        const swatch = element("svg", { width: 34, height: 14, viewBox: "0 0 34 14", "aria-hidden": "true" });
        if (one.look === "law") swatch.append(element("rect", { class: "band", x: 1, y: 2, width: 32, height: 10 }));
        swatch.append(element("path", { class: `line ${one.look}`, d: one.look === "measured" ? "M17 1V13" : "M1 7H33" }));
        if (one.limit) swatch.append(element("circle", { class: `known ${one.look}`, cx: 17, cy: 7, r: 2.5 }));
        if (one.look === "measured") swatch.append(element("circle", { class: "point", cx: 17, cy: 7, r: 4 }));
        item.append(swatch, ` ${one.name}`);
        return item;
      }),
    );
  }

  // Drawing, in pixels of the page so that letters keep their size on a phone

  function scales() {
    const width = Math.max(app.clientWidth, 240);
    const height = Math.round(Math.min(Math.max(width * 0.55, 240), 420));
    const box = { left: 44, right: width - 14, top: 14, bottom: height - 44 };
    const limits = Object.values(curve.limits).flatMap((pairs) => pairs.map((pair) => pair[0]));
    const drawn = places.concat(limits);
    const low = Math.min(...drawn);
    const span = Math.max(...drawn) - low || 1;
    const first = low - 0.04 * span;
    const x = (bits) => box.left + ((bits - first) / (1.08 * span)) * (box.right - box.left);
    const y = (value) => box.bottom - Math.min(Math.max(value, 0), 1.02) * ((box.bottom - box.top) / 1.02);
    const from = (pixel) => first + ((pixel - box.left) / (box.right - box.left)) * 1.08 * span;
    return { width, height, box, x, y, from, low, span };
  }
  const path = (s, pairs) =>
    pairs.map(([bits, value], index) => `${index ? "L" : "M"}${s.x(bits).toFixed(1)} ${s.y(value).toFixed(1)}`).join("");

  function axes(s) {
    const { box } = s;
    const parts = [];
    for (const value of [0, 0.25, 0.5, 0.75, 1]) {
      const up = s.y(value).toFixed(1);
      parts.push(element("line", { class: "rule", x1: box.left, x2: box.right, y1: up, y2: up }));
      parts.push(element("text", { x: box.left - 6, y: Number(up) + 4, "text-anchor": "end" }, String(value)));
    }
    const step = 2 ** Math.max(0, Math.ceil(Math.log2((s.span * 60) / (box.right - box.left)))); // 60 pixels a number
    for (let bits = Math.ceil(s.low / step - 1e-4) * step; bits <= s.low + s.span + 1e-4; bits += step) {
      const across = s.x(bits).toFixed(1);
      parts.push(element("line", { class: "tick", x1: across, x2: across, y1: box.bottom, y2: box.bottom + 5 }));
      parts.push(element("text", { x: across, y: box.bottom + 19, "text-anchor": "middle" }, raised(bits)));
    }
    parts.push(element("line", { class: "tick", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
    const middle = (box.left + box.right) / 2;
    parts.push(element("text", { x: middle, y: s.height - 6, "text-anchor": "middle" }, "outputs J (logarithmic)"));
    return parts;
  }
  function lawParts(s) {
    if (!law()) return [];
    const [low, mean, high] = curve.curve;
    const along = law().bits;
    const pairs = (values) => along.map((bits, index) => [bits, values[index]]);
    const parts = [element("path", { class: "band", d: `${path(s, [...pairs(low), ...pairs(high).reverse()])}Z` })];
    const inside = pairs(mean).filter(([bits]) => !beyond(bits));
    const after = pairs(mean).filter(([bits]) => bits >= law().measured[1] - 1e-4);
    parts.push(element("path", { class: "line law", d: path(s, inside) }));
    parts.push(element("path", { class: "line law far", d: path(s, after) }));
    return parts;
  }
  function limitParts(s) {
    return series()
      .filter((one) => one.limit)
      .flatMap(({ name, look }) => {
        const pairs = curve.limits[name];
        const dots = pairs.map(([bits, value]) =>
          element("circle", { class: `known ${look}`, cx: s.x(bits).toFixed(1), cy: s.y(value).toFixed(1), r: 2.5 }),
        );
        return [element("path", { class: `line ${look}`, d: path(s, pairs) }), ...dots];
      });
  }
  function pointParts(s) {
    return curve.points.flatMap(([bits, mean, low, high]) => {
      const across = s.x(bits).toFixed(1);
      const dot = element("circle", { class: "point", cx: across, cy: s.y(mean).toFixed(1), r: 4.5 });
      if (low === null || high === null) return [dot];
      const d = `M${across} ${s.y(low).toFixed(1)}V${s.y(high).toFixed(1)}`;
      return [element("path", { class: "line measured", d }), dot];
    });
  }
  function draw() {
    const s = scales();
    const plot = byId("explorer-plot");
    plot.setAttribute("width", s.width);
    plot.setAttribute("height", s.height);
    plot.setAttribute("viewBox", `0 0 ${s.width} ${s.height}`);
    const cursor = element("line", { class: "cursor", x1: s.x(at), x2: s.x(at), y1: s.box.top, y2: s.box.bottom });
    plot.querySelector("g").replaceChildren(...axes(s), ...lawParts(s), ...limitParts(s), ...pointParts(s), cursor);
    byId("explorer-title").textContent = `${curve.score} against the number of outputs J at I = ${curve.inputs}`;
    byId("explorer-desc").textContent =
      `${curve.points.length} measured points from J = ${outputs(curve.points[0][0])} to ` +
      `${outputs(curve.points[curve.points.length - 1][0])}` +
      `${law() ? `, law ${law().name} with its interval` : ""}, ${Object.keys(curve.limits).join(", ")}. ` +
      "The table below has the same numbers.";
    plot.onclick = (event) => {
      byId("explorer-at").value = String(closest(s.from(event.clientX - plot.getBoundingClientRect().left)));
      show();
    };
  }
  function show() {
    const slider = byId("explorer-at");
    at = places[Number(slider.value)];
    slider.setAttribute("aria-valuetext", `J = ${outputs(at)}`);
    byId("explorer-summary").textContent = summary();
    draw();
  }

  app.hidden = false;
  chosen.study = data.curves[0].study;
  byId("explorer-at").addEventListener("input", show);
  choose();
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(app);
})();
