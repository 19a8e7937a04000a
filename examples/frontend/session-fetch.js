/**
 * A `fetch` for calls with an access token: one refresh at a time, one repeat, and the reason when a session has ended.
 *
 * Three things go wrong without it. Ten calls that meet an expired token start ten refreshes, of which an auth server
 * with one-time refresh tokens accepts one. A call is repeated for a 401 that no refresh can mend. And the person whose
 * device was signed out reads "Unauthorized".
 *
 * @param {object} options
 * @param {() => string | null | Promise<string | null>} options.getToken the present access token; null without one
 * @param {() => Promise<string | null>} options.refreshToken gets a new access token, and keeps it for `getToken`; null
 *   if the auth server refuses
 * @param {(problem: {code: string, detail: string, end_reason?: string, because?: string}) => void} options.onSignedOut
 *   called once when the session has ended: drop the tokens, show `detail`, and offer the sign-in
 * @returns {(input: RequestInfo | URL, init?: RequestInit) => Promise<Response>} takes and returns what `fetch` does
 */
export function createSessionFetch({ getToken, refreshToken, onSignedOut }) {
  let refreshing = null;
  let isSignedOut = false;

  function refreshOnce() {
    refreshing ??= Promise.resolve(refreshToken()).finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  async function send(input, init, token) {
    const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
    if (token) headers.set("Authorization", `Bearer ${token}`);
    // A request's body can be read once, so a copy is sent and the original kept for the repeat.
    return fetch(input instanceof Request ? input.clone() : input, { ...init, headers });
  }

  return async function sessionFetch(input, init = {}) {
    const token = await getToken();
    let response = await send(input, init, token);
    if (codeOf(response) === "token_expired") {
      // Another call may have refreshed the token while this one was under way.
      const latest = await getToken();
      const fresh = latest !== token ? latest : await refreshOnce();
      if (fresh) response = await send(input, init, fresh);
    }
    if (codeOf(response) === "session_ended" && !isSignedOut) {
      isSignedOut = true;
      onSignedOut(await response.clone().json());
    }
    return response;
  };
}

/** The code of a 401, from its header: bodies may be dropped by a gateway, and reading one takes a copy. */
function codeOf(response) {
  return response.status === 401 ? response.headers.get("X-Session-Code") : null;
}
