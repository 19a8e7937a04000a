// A search of all users' sessions by criteria, and how what was found is ended.

import { byId, call, confirmed, fillTable, foreign, make, saidOfEverywhere, sessionsInWords, time } from "./tools.js";

const PER_CALL = 1000; // what the service ends in one call, at most
const WITHOUT_PROGRESS = 20;

let criteria = {}; // of the sessions that are shown
let found = [];
let next = null;

/** Return the filled-in fields by name; a time of this computer as an instant. */
function filledIn() {
  const fields = [...byId("search-form").elements].filter(({ name, value }) => name && value.trim());
  return Object.fromEntries(
    fields.map(({ name, type, value }) => [name, type === "datetime-local" ? new Date(value).toISOString() : value.trim()]),
  );
}

/** Load and show the first page. */
export async function search() {
  const wanted = filledIn();
  const page = await call("GET", `/sessions/search?${new URLSearchParams(wanted)}`);
  criteria = wanted;
  found = [];
  show(page);
}

/** Load the next page, and show it below. */
export async function searchOn() {
  show(await call("GET", `/sessions/search?${new URLSearchParams({ ...criteria, after: next })}`));
}

/** Forget what was loaded. */
export function clearSearch() {
  criteria = {};
  found = [];
  next = null;
  byId("search-form").reset();
  byId("search-result").hidden = true;
  byId("found").replaceChildren();
}

function show(page) {
  found.push(...page.sessions);
  next = page.next;
  byId("search-result").hidden = false;
  byId("found-title").textContent = `${sessionsInWords(found.length)} found${next ? " so far" : ""}`;
  byId("found").hidden = !found.length;
  byId("ending-found").hidden = !found.some((session) => session.is_active);
  byId("more").hidden = !next;
  fillTable(byId("found"), ["User", "Device", "Kind", "Address", "Signed in", "Last used", "State", "Session"], found.map(row));
}

function row(session) {
  const user = make("button", { type: "button", "data-user": session.user_id }, foreign(String(session.user_id)));
  const name = make("td", { class: "name" }, foreign(session.device_name), session.is_current ? " (this one)" : "");
  const address = session.ip_address ? foreign(session.ip_address) : "unknown";
  const state = make("td", {}, ...(session.is_active ? ["active"] : [`${session.end_reason}, `, time(session.ended_at)]));
  return [user, name, session.device_type, address, time(session.created_at), time(session.last_activity), state, String(session.id)];
}

/** Count what would end, ask, and end it. Return what happened in words; null if nothing was to be done. */
export async function endFound() {
  const body = bodyOf(criteria);
  const lines = Object.entries(criteria).map(([name, value]) => [`${name}: `, foreign(value)]);
  const total = { ended: 0, isEverywhere: false };
  let { count } = await call("POST", "/sessions/end", { ...body, dry_run: true });
  let change = "";
  while (count && (await confirmed(`End ${sessionsInWords(count)}?${change}`, lines))) {
    try {
      const left = await endAll(body, count, total);
      await search();
      return inWords(total, left);
    } catch (error) {
      await search().catch(() => {}); // some may have ended; what went wrong is said in any case
      if (error.code !== "count_changed") throw error;
      change = " There are more than before.";
      count = error.count;
    }
  }
  if (!count) return "No active session matches any more.";
  return total.ended ? inWords(total, count) : null;
}

/** End all in several calls, show the progress, and return how many are left. */
async function endAll(body, expected, total) {
  const everywhere = byId("search-everywhere").checked;
  const because = byId("search-because").value;
  const cause = because ? { because } : {};
  let remaining = expected;
  for (let stalled = 0; remaining && stalled < WITHOUT_PROGRESS; ) {
    // One wait after the last end is a wait after all of them.
    const waits = everywhere && remaining <= PER_CALL;
    const answer = await call("POST", `/sessions/end${waits ? "?everywhere=true" : ""}`, { ...body, ...cause, expected: remaining });
    total.ended += answer.ended;
    total.isEverywhere = answer.everywhere === true;
    stalled = answer.ended ? 0 : stalled + 1;
    remaining = answer.remaining;
    if (remaining) byId("status").textContent = `${sessionsInWords(total.ended)} ended, ${remaining} to go …`;
  }
  return remaining;
}

function inWords({ ended, isEverywhere }, left) {
  const said = [`${sessionsInWords(ended)} ended.`];
  if (left) said.push(`${sessionsInWords(left)} are left.`);
  else if (byId("search-everywhere").checked) said.push(saidOfEverywhere(isEverywhere));
  return said.join(" ");
}

/** Return the criteria as JSON has them. A user's id is a number or a text, as in what was found. */
function bodyOf({ active, user_id: user, ...others }) {
  return { ...others, ...(active && { active: active === "true" }), ...(user && { user_id: found[0].user_id }) };
}
