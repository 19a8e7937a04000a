// Elements, times, and calls of the service: what the other modules of the console share.

/** Return a new element; `text` and the children are set as text or nodes, everything else is an attribute. */
export function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...(text === undefined ? children : [text]));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Return a name or text of somebody else's as an element that keeps its direction to itself. */
export const foreign = (text) => make("bdi", { text });

export const number = new Intl.NumberFormat();
const instants = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function time(text) {
  return make("time", { datetime: text, text: instants.format(new Date(text)) });
}

/** Return a table with a head; a cell is a text or a node, and a number is set to the right. */
export function fillTable(table, titles, rows) {
  const isNumber = (column) => rows.length && rows.every((row) => typeof row[column] === "number");
  const attributes = titles.map((_title, column) => (isNumber(column) ? { class: "number" } : {}));
  const head = titles.map((title, column) => make("th", { scope: "col", ...attributes[column] }, title));
  const body = rows.map((row) =>
    make("tr", {}, ...row.map((cell, column) => {
      if (cell instanceof HTMLTableCellElement) return cell;
      return make("td", attributes[column], typeof cell === "number" ? number.format(cell) : cell);
    })),
  );
  table.replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
}

/** What the service answered instead of what was asked for. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The service does not answer.");
    this.status = status;
    this.code = problem.code;
    this.requestId = problem.request_id;
  }
}

// The token is here and nowhere else: no cookie, no storage, no attribute of an element.
let token = null;

export function useToken(given) {
  token = given;
}

/**
 * Return the JSON of an answer.
 *
 * @throws {Refusal}
 */
export async function call(method, path) {
  const headers = { Authorization: `Bearer ${token}` };
  const signal = AbortSignal.timeout(15_000);
  let response;
  try {
    response = await fetch(new URL(`.${path}`, document.baseURI), { method, headers, signal, credentials: "omit" });
  } catch {
    throw new Refusal(0, {});
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, body);
  return body;
}
