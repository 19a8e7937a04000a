// The console: takes a token, and connects the forms with what they show.

import { clearSearch, endFound, search, searchOn } from "./search.js";
import { showStatistics } from "./statistics.js";
import { byId, useToken } from "./tools.js";
import { clearUser, endSessions, showUser } from "./user.js";

const KEPT_MINUTES = 30;

/** Take a token out of the address before anything else: it must not stay there, nor in the history. */
function tokenOfAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
  return given;
}

let forgetting = null;

function signIn(token) {
  useToken(token);
  byId("token").value = "";
  byId("token-form").hidden = true;
  byId("signed-in").hidden = byId("forget").hidden = false;
  keepAwhile();
  byId("user").focus();
  return showStatistics(byId("period").value);
}

function forget(said = "") {
  useToken(null);
  clearTimeout(forgetting);
  clearUser();
  clearSearch();
  byId("question").close();
  byId("charts").replaceChildren();
  byId("signed-in").hidden = byId("forget").hidden = true;
  byId("token-form").hidden = false;
  byId("status").textContent = said;
  byId("token").focus();
}

/** Forget the token when nobody has used the page for a while. */
function keepAwhile() {
  clearTimeout(forgetting);
  forgetting = setTimeout(() => forget(`The token was forgotten after ${KEPT_MINUTES} minutes without use.`), KEPT_MINUTES * 60_000);
}

/** Show a user whose session was found. */
async function lookAt(user) {
  byId("user").value = user;
  await showUser(user);
  byId("user").focus();
}

/** Do something that calls the service; show what it says, or what went wrong. */
async function act(action) {
  byId("problem").textContent = byId("status").textContent = "";
  document.body.setAttribute("aria-busy", "true");
  try {
    const said = await action();
    if (said) byId("status").textContent = said;
  } catch (error) {
    // The token is of no use any more: without it, the page begins anew.
    if (error.status === 401) forget();
    const reference = error.requestId ? ` (reference ${error.requestId})` : "";
    byId("problem").textContent = `${error.message}${reference}`;
  } finally {
    document.body.setAttribute("aria-busy", "false");
  }
}

function onSubmit(id, action) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(action);
  });
}

onSubmit("token-form", () => signIn(byId("token").value.trim()));
onSubmit("user-form", () => showUser(byId("user").value.trim()));
onSubmit("search-form", search);
onSubmit("statistics-form", () => showStatistics(byId("period").value));
byId("forget").addEventListener("click", () => forget("The token is forgotten."));
byId("end-selected").addEventListener("click", () => act(() => endSessions("selected")));
byId("end-all").addEventListener("click", () => act(() => endSessions("all")));
byId("more").addEventListener("click", () => act(searchOn));
byId("end-found").addEventListener("click", () => act(endFound));
byId("found").addEventListener("click", ({ target }) => {
  const user = target.closest("button[data-user]")?.dataset.user;
  if (user) act(() => lookAt(user));
});
byId("search-because").replaceChildren(...[...byId("because").options].map((option) => option.cloneNode(true)));
byId("cancel").addEventListener("click", () => byId("question").close());
byId("confirm").addEventListener("click", () => byId("question").close("end"));
for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => byId("forget").hidden || keepAwhile());
// A page that is left may be kept by the browser as it is.
addEventListener("pagehide", () => forget());
addEventListener("hashchange", () => {
  const token = tokenOfAddress();
  if (token) act(() => signIn(token));
});

const token = tokenOfAddress();
if (token) act(() => signIn(token));
