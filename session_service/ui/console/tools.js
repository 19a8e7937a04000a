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
    const fields = Object.entries(problem.errors ?? {}).map(([name, messages]) => `${name}: ${[messages].flat().join(" ")}`);
    super([problem.detail ?? "The service does not answer.", ...fields].join(" "));
    this.status = status;
    this.code = problem.code;
    this.count = problem.count;
    this.requestId = problem.request_id;
  }
}

// The token is here and nowhere else: no cookie, no storage, no attribute of an element.
let token = null;

export function useToken(given) {
  token = given;
}

/**
 * Return the JSON of an answer; `json` is sent as the body.
 *
 * @throws {Refusal}
 */
export async function call(method, path, json) {
  const headers = { Authorization: `Bearer ${token}` };
  const body = json === undefined ? undefined : JSON.stringify(json);
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(15_000);
  let response;
  try {
    response = await fetch(new URL(`.${path}`, document.baseURI), { method, headers, body, signal, credentials: "omit" });
  } catch {
    throw new Refusal(0, {});
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, answer);
  return answer;
}

/** Return a number of sessions in words. */
export const sessionsInWords = (count) => `${number.format(count)} ${count === 1 ? "session" : "sessions"}`;

/** Ask whether to end something, and show what in lines of text or nodes. Resolves to whether the answer is yes. */
export function confirmed(title, lines) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-list").replaceChildren(...lines.map((line) => make("li", {}, ...line)));
  dialog.returnValue = "";
  dialog.showModal();
  byId("cancel").focus();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "end"), { once: true }));
}

/** Return what is said of ended sessions if it was to be waited until no backend remembers them. */
export function saidOfEverywhere(isEverywhere) {
  if (isEverywhere) return "✓ No backend remembers them any more.";
  return "It was not confirmed that no backend remembers them; that takes a second at most.";
}
