/**
 * A `fetch` for the application's own calls: one refresh at a time, one repeat, and the reason when a session has ended.
 *
 * Three things go wrong without it. Ten calls that meet an expired token start ten refreshes, of which an auth server
 * with one-time refresh tokens accepts one. A call is repeated for a 401 that no refresh can mend. And the person whose
 * device was signed out reads "Unauthorized".
 *
 * @typedef {(how: {refresh: boolean}) => string | null | Promise<string | null>} GetToken the present access token, or
 *   with `refresh` a new one, which is kept for later calls; null without one, or if the auth server refuses
 * @typedef {((input: RequestInfo | URL, init?: RequestInit) => Promise<Response>) &
 *   {events: EventTarget, getToken: GetToken}} SessionFetch
 *
 * @param {{getToken: GetToken}} options
 * @returns {SessionFetch} takes and returns what `fetch` does. `events` gets one `session-ended` for each token that is
 *   refused, a CustomEvent whose `detail` is the problem document: drop the tokens, show `detail`, offer the sign-in.
 *   `getToken` is the given one, with one refresh at a time: give it to `<session-list>`, so that both share refreshes
 */
export function createSessionFetch({ getToken }) {
  const events = new EventTarget();
  let refreshing = null;
  let endedFor = null;

  async function sharedToken({ refresh }) {
    if (!refresh) return getToken({ refresh });
    refreshing ??= Promise.resolve(getToken({ refresh })).finally(() => (refreshing = null));
    return refreshing;
  }

  async function send(input, init, token) {
    const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
    if (token) headers.set("Authorization", `Bearer ${token}`);
    // A request's body can be read once, so a copy is sent and the original kept for the repeat.
    return fetch(input instanceof Request ? input.clone() : input, { ...init, headers });
  }

  async function sessionFetch(input, init = {}) {
    let token = await sharedToken({ refresh: false });
    let response = await send(input, init, token);
    if (codeOf(response) === "token_expired") {
      // Another call may have refreshed the token while this one was under way.
      const latest = await sharedToken({ refresh: false });
      const fresh = latest !== token ? latest : await sharedToken({ refresh: true });
      if (fresh) response = await send(input, init, (token = fresh));
    }
    if (codeOf(response) === "session_ended" && token !== endedFor) {
      endedFor = token;
      // A gateway may have dropped the body.
      const detail = await response.clone().json().catch(() => ({ code: "session_ended" }));
      events.dispatchEvent(new CustomEvent("session-ended", { detail }));
    }
    return response;
  }

  return Object.assign(sessionFetch, { events, getToken: sharedToken });
}

/** The code of a 401, from its header: bodies may be dropped by a gateway, and reading one takes a copy. */
function codeOf(response) {
  return response.status === 401 ? response.headers.get("X-Session-Code") : null;
}
