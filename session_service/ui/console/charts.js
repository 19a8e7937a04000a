// Charts as SVG with the figures as a table beside them. Geometry is set by attributes and colour by classes, so that
// the policy of the page needs no exception.

import { fillTable, make, number } from "./tools.js";

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 48;
const BOTTOM = 24;
const TOP = 10;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Return the least of 1, 2 and 5 times a power of ten that is at least *most*: the top of an axis. */
export function topOf(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((top) => top >= most);
}

/**
 * Return a figure: the chart, its key if there are several series, and the table.
 *
 * @param {string} title
 * @param {string[]} labels one for each period, the oldest first
 * @param {{name: string, values: number[]}[]} series drawn upon each other as bars, or as a line
 * @param {{line?: boolean}} how
 */
export function chart(title, labels, series, { line = false } = {}) {
  const totals = labels.map((_label, index) => series.reduce((sum, { values }) => sum + values[index], 0));
  const top = topOf(Math.max(...totals));
  const height = (value) => ((HEIGHT - TOP - BOTTOM) * value) / top;
  const step = (WIDTH - LEFT) / labels.length;
  const floor = HEIGHT - BOTTOM;
  const marks = line
    ? [svg("polyline", { class: "graph", points: totals.map((value, index) => `${LEFT + step * (index + 0.5)},${floor - height(value)}`).join(" ") })]
    : labels.flatMap((_label, index) => bars(series, index, { x: LEFT + step * index, step, floor, height }));
  const total = totals.reduce((sum, value) => sum + value, 0);
  const summary = line ? `${title}: now ${number.format(totals.at(-1))}` : `${title}: ${number.format(total)} in all`;
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${summary}. The table has the figures.` },
    ...axis(top, floor, height),
    ...everySo(labels).map(([index, label]) =>
      svg("text", { class: "label", x: LEFT + step * (index + 0.5), y: HEIGHT - 6, "text-anchor": "middle" }, label),
    ),
    ...marks,
  );
  const table = make("table");
  const rows = labels.map((label, index) => [label, ...series.map(({ values }) => values[index])]).reverse();
  fillTable(table, ["UTC", ...series.map(({ name }) => name)], rows);
  const figures = make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `${title}: figures` }, table);
  const caption = make("figcaption", {}, title, ...(series.length > 1 ? [key(series)] : []));
  return make("figure", {}, caption, make("div", { class: "chart" }, drawing, figures));
}

function bars(series, index, { x, step, floor, height }) {
  let y = floor;
  return series.flatMap(({ values }, order) => {
    if (!values[index]) return [];
    y -= height(values[index]);
    const size = { x: x + step * 0.1, y, width: step * 0.8, height: height(values[index]) };
    return [svg("rect", { class: `series-${order}`, ...size })];
  });
}

function axis(top, floor, height) {
  return [0, top / 2, top].flatMap((value) => {
    const y = floor - height(value);
    const text = Number.isInteger(value) ? number.format(value) : "";
    return [
      svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: y, y2: y }),
      svg("text", { class: "label", x: LEFT - 6, y: y + 4, "text-anchor": "end" }, text),
    ];
  });
}

/** Return at most eight of the labels, with their places. */
function everySo(labels) {
  const every = Math.ceil(labels.length / 8);
  return labels.map((label, index) => [index, label]).filter(([index]) => index % every === 0);
}

function key(series) {
  const entries = series.map(({ name }, order) => make("span", {}, make("span", { class: `key series-${order}` }), `${name} `));
  return make("div", { class: "line" }, ...entries);
}
