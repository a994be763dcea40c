// Charts over time as SVG: bars that are stacked, or lines. The arrow keys and the pointer show the values of a point.

import { h, replace, svg } from "./dom.js";
import { moment, t } from "./text.js";

const HEIGHT = 150;
const LEFT = 52, TOP = 8, BOTTOM = 20;

export function timeChart({ title, points, step, kind, series, format }) {
  const shown = h("p", { class: "values", "aria-live": "polite" });
  const frame = h("div", { class: "frame", tabindex: "0", role: "img", "aria-label": `${title}. ${t("Arrow keys show the values.")}` });
  const legend = h("ul", { class: "legend" }, series.map((each, index) => h("li", {}, h("i", { class: `s${index}` }), each.name)));
  let chosen = -1, width = 0;

  const value = (each, index) => each.values[index] ?? 0;
  const sum = (index) => series.reduce((total, each) => total + value(each, index), 0);
  const peaks = points.map((_, index) => kind === "bars" ? sum(index) : Math.max(...series.map((each) => value(each, index))));
  const top = nice(Math.max(...peaks, 0));
  const x = (index) => LEFT + (index + 0.5) * (width - LEFT - 4) / points.length;
  const y = (amount) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - amount / top);

  function draw() {
    width = Math.max(frame.clientWidth, 200);
    const every = Math.ceil(points.length / Math.max(2, Math.floor((width - LEFT) / 70)));
    replace(frame, svg("svg", { width, height: HEIGHT, "aria-hidden": "true" },
      [0, top / 2, top].map((amount) => [
        svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(amount), y2: y(amount) }),
        svg("text", { x: LEFT - 6, y: y(amount) + 4, "text-anchor": "end" }, format(amount)),
      ]),
      points.map((point, index) => index % every === 0
        && svg("text", { x: x(index), y: HEIGHT - 4, "text-anchor": "middle" }, moment(point.at, step))),
      kind === "bars" ? bars() : lines(),
      chosen >= 0 && svg("line", { class: "cursor", x1: x(chosen), x2: x(chosen), y1: TOP, y2: HEIGHT - BOTTOM })));
  }

  function bars() {
    const breadth = Math.max(1, (width - LEFT - 4) / points.length - 2);
    return points.map((_, index) => {
      let base = 0;
      return series.map((each, place) => {
        const amount = value(each, index), begin = base;
        base += amount;
        return amount > 0 && svg("rect", { class: `s${place}`, x: x(index) - breadth / 2, width: breadth, y: y(base), height: Math.max(0.5, y(begin) - y(base)) });
      });
    });
  }

  function lines() {
    return series.map((each, place) => {
      let path = "", isDrawing = false;
      each.values.forEach((amount, index) => {
        if (amount !== null) path += `${isDrawing ? "L" : "M"}${x(index)} ${y(amount)}`;
        isDrawing = amount !== null;
      });
      const alone = each.values.map((amount, index) => amount !== null && svg("circle", { class: `s${place}`, cx: x(index), cy: y(amount), r: 2 }));
      return [svg("path", { class: `line s${place}`, d: path }), alone];
    });
  }

  function choose(index) {
    chosen = Math.min(points.length - 1, Math.max(0, index));
    const values = series.map((each) => `${each.name} ${each.values[chosen] === null ? "–" : format(each.values[chosen])}`);
    shown.textContent = `${moment(points[chosen].at, step)}: ${values.join(", ")}`;
    draw();
  }

  frame.addEventListener("pointermove", (event) => {
    const inside = event.clientX - frame.getBoundingClientRect().left - LEFT;
    choose(Math.floor(inside / ((width - LEFT - 4) / points.length)));
  });
  frame.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) {
      event.preventDefault();
      choose(chosen < 0 ? points.length - 1 : chosen + move);
    }
  });
  new ResizeObserver(() => frame.clientWidth !== width && draw()).observe(frame);
  return h("figure", { class: "chart panel" }, h("figcaption", {}, title), legend, frame, shown);
}

function nice(peak) {
  if (!(peak > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(peak));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((candidate) => candidate >= peak);
}
