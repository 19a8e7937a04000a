// What the web frontend does with the session service, without its framework: a bearer token, no cookies,
// claims about the device that are worth nothing, and the six fields that it shows.
// The API's address is in this page's own: ?api=http://127.0.0.1:8080

const api = new URLSearchParams(location.search).get("api");
const element = (id) => document.getElementById(id);

class Problem extends Error {}

async function call(method, path, body) {
  const headers = {};
  const token = element("token").value;
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(api + path, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Problem(`${response.status}: ${answer.detail}`);
  return answer;
}

function deviceClaims() {
  return {
    device_fingerprint: "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAASwAAACWCAYAAABkW7XSAAAAAXNSR0IArs4c6QAA",
    device_name: navigator.userAgent.slice(0, 100),
    device_type: /Mobi|Android/i.test(navigator.userAgent) ? "mobile" : "web",
    browser: "Chrome",
    ip_address: "unknown",
  };
}

function show(sessions) {
  for (const { id, device_type, browser, device_name, last_activity, ip_address } of sessions) {
    const row = document.createElement("li");
    const add = (name, text, kind = "span") => {
      const part = document.createElement(kind);
      part.className = name;
      part.textContent = text;
      row.append(part, " ");
      return part;
    };
    add("icon", device_type === "mobile" ? "📱" : `💻 ${browser}`);
    add("name", device_name);
    // Throws where the service's text is no date.
    add("time", new Date(last_activity).toLocaleString(), "time").dateTime = new Date(last_activity).toISOString();
    add("address", ip_address);
    add("end", "End", "button").onclick = () =>
      act(async () => {
        const { message } = await call("DELETE", `/sessions/session/${id}`);
        show(await call("GET", "/sessions/my-sessions"));
        return message;
      });
    element("devices").append(row);
  }
}

// What the last action left on the page goes first: whatever is on it afterwards is from this one.
async function act(action) {
  element("message").textContent = "";
  element("devices").replaceChildren();
  try {
    element("message").textContent = await action();
  } catch (error) {
    element("message").textContent = error instanceof Problem ? error.message : String(error);
  }
}

const onClick = (id, action) => (element(id).onclick = () => act(action));

const list = async (path) => {
  const sessions = await call("GET", path);
  show(sessions);
  return `${sessions.length} listed`;
};

onClick("sign-in", async () => {
  const { device_name } = await call("POST", "/sessions/create", deviceClaims());
  show(await call("GET", "/sessions/my-sessions"));
  return `Signed in on ${device_name}`;
});
onClick("refresh", () => list("/sessions/my-sessions"));
onClick("show-user", () => list(`/sessions/user/${element("user").value}`));
onClick("show-session", async () => {
  show([await call("GET", `/sessions/session/${element("session").value}`)]);
  return "1 listed";
});
onClick("sign-out", async () => (await call("DELETE", "/sessions/logout")).message);
