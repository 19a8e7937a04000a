// A page of an application. Its token comes in the address, which an application would not do.

import "/sessions/ui/session-list.js";

const token = new URLSearchParams(location.hash.slice(1)).get("token");
const list = document.querySelector("session-list");
list.getToken = async () => token;
document.getElementById("language").addEventListener("change", ({ target }) => {
  list.lang = document.documentElement.lang = target.value;
});
