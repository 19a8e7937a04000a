import "session-service-web/session-list.js";

/** The ready-made list: React 19 sets properties of custom elements and listens to their events. */
export function Devices({ api, getToken, onSessionEnded }) {
  return <session-list api={api} getToken={getToken} onsession-ended={(event) => onSessionEnded(event.detail)} />;
}
