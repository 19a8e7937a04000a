import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { createSessionFetch } from "session-service-web/session-fetch.js";

import { Devices } from "./Devices.jsx";
import { OwnList } from "./OwnList.jsx";

// An application has both from its configuration and its sign-in.
const { api, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const sessionFetch = createSessionFetch({ getToken: ({ refresh }) => (refresh ? null : token) });

function App() {
  const [ended, setEnded] = useState(null);
  return (
    <>
      <h1>Account</h1>
      {ended && <p id="ended">Signed out: {ended.end_reason}</p>}
      <Devices api={api} getToken={sessionFetch.getToken} onSessionEnded={setEnded} />
      <OwnList api={api} sessionFetch={sessionFetch} />
    </>
  );
}

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
