// A page of the application with the element in it. Its address says where the service is, which one sends the module,
// and the language: ?api=http://127.0.0.1:8080&module=http://127.0.0.1:8080&lang=uz. A test puts tokens into `auth`, and reads there what happened.

const query = new URLSearchParams(location.search);
const api = query.get("api");

window.auth = { token: query.get("token"), next: [], refreshes: 0, events: [] };

const list = document.createElement("session-list");
list.setAttribute("api", api);
if (query.has("lang")) list.lang = query.get("lang");
// Set before the element is defined, as a page does whose own script is faster.
list.getToken = async ({ refresh }) => {
  if (refresh) {
    window.auth.refreshes += 1;
    window.auth.token = window.auth.next.shift() ?? null;
  }
  return window.auth.token;
};
for (const type of ["session-ended", "signed-out", "error"]) {
  list.addEventListener(type, ({ detail }) => window.auth.events.push([type, detail]));
}
document.querySelector("main").append(list);
await import(`${query.get("module")}/sessions/ui/session-list.js`);
