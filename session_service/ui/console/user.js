// One user's devices and history, and how sessions are ended.

import { byId, call, confirmed, fillTable, foreign, make, saidOfEverywhere, sessionsInWords, time } from "./tools.js";

let userId = null;
let sessions = [];

/** Load and show a user's sessions. */
export async function showUser(id) {
  const found = await call("GET", `/sessions/user/${encodeURIComponent(id)}?include_inactive=true`);
  userId = id;
  sessions = found;
  const active = sessions.filter((session) => session.is_active);
  byId("user-result").hidden = false;
  byId("devices-title").textContent = `Devices of user ${id}`;
  byId("no-devices").hidden = active.length > 0;
  byId("devices").hidden = byId("ending").hidden = !active.length;
  fillTable(byId("devices"), ["Select", "Device", "Kind", "Address", "Signed in", "Last used", "Session"], active.map(row));
  byId("history").replaceChildren(...history().map(entry));
  chosenChanged();
}

/** Forget what was loaded. */
export function clearUser() {
  userId = null;
  sessions = [];
  byId("user-result").hidden = true;
  for (const id of ["devices", "history"]) byId(id).replaceChildren();
}

function row(session) {
  const check = make("input", { type: "checkbox", value: session.id, "aria-label": `Select ${session.device_name}` });
  check.addEventListener("change", chosenChanged);
  const name = make("td", { class: "name" }, foreign(session.device_name), session.is_current ? " (this one)" : "");
  const address = session.ip_address ? foreign(session.ip_address) : "unknown";
  return [check, name, session.device_type, address, time(session.created_at), time(session.last_activity), String(session.id)];
}

/** Return everything that happened to the user's sessions, the newest first. */
function history() {
  const created = sessions.map((session) => ({ what: "created", at: session.created_at, session }));
  const ended = sessions.filter((session) => session.ended_at).map((session) => ({ what: "ended", at: session.ended_at, session }));
  return [...created, ...ended].sort((one, other) => new Date(other.at) - new Date(one.at) || other.session.id - one.session.id);
}

function entry({ what, at, session }) {
  const name = foreign(session.device_name);
  const words = what === "created" ? ["Signed in on ", name] : ["Ended on ", name, `: ${session.end_reason}`];
  if (what === "ended" && session.because) words.push(` (${session.because})`);
  if (what === "ended" && session.ended_by) words.push(" by ", foreign(session.ended_by));
  return make("li", { class: what }, time(at), ...words, ` · session ${session.id}`);
}

function chosen() {
  const ids = new Set([...byId("devices").querySelectorAll("input:checked")].map((check) => Number(check.value)));
  return sessions.filter((session) => ids.has(session.id));
}

function chosenChanged() {
  byId("end-selected").textContent = `End the selected (${chosen().length})`;
}

/** Ask, showing what would end, and end it. Return what happened in words; null if nothing was to be done. */
export async function endSessions(scope) {
  const doomed = scope === "all" ? sessions.filter((session) => session.is_active) : chosen();
  const lines = doomed.map((session) => [foreign(session.device_name), ` · session ${session.id}`]);
  if (!doomed.length || !(await confirmed(`End ${sessionsInWords(doomed.length)} of user ${userId}?`, lines))) return null;
  const everywhere = byId("everywhere").checked;
  const because = byId("because").value;
  const all = because ? `?because=${because}` : "";
  const paths =
    scope === "all"
      ? [`/sessions/user/${encodeURIComponent(userId)}${all}`]
      : doomed.map((session) => `/sessions/session/${session.id}`);
  // One wait after the last end is a wait after all of them.
  if (everywhere) paths.push(`${paths.pop()}${all && scope === "all" ? "&" : "?"}everywhere=true`);
  let closed = 0;
  let isEverywhere = false;
  const user = userId;
  try {
    for (const path of paths) {
      const answer = await call("DELETE", path);
      closed += answer.closed ?? 1;
      isEverywhere = answer.everywhere === true;
    }
  } catch (error) {
    await showUser(user).catch(() => {}); // some may have ended; what went wrong is said in any case
    throw error;
  }
  await showUser(user);
  const said = `${sessionsInWords(closed)} of user ${user} ended.`;
  return everywhere ? `${said} ${saidOfEverywhere(isEverywhere)}` : said;
}
