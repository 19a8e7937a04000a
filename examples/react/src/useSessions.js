import { useCallback, useEffect, useState } from "react";

/** The caller's sessions, for markup of your own; `sessionFetch` and `api` must stay the same between renders. */
export function useSessions(sessionFetch, api) {
  const [state, setState] = useState({ sessions: null, error: null });

  const call = useCallback(
    async (path, method = "GET") => {
      try {
        const answer = await sessionFetch(`${api}/sessions/${path}`, { method });
        const body = await answer.json();
        setState((before) => ({ ...before, error: answer.ok ? null : body.detail }));
        return answer.ok ? body : null;
      } catch {
        setState((before) => ({ ...before, error: "The service cannot be reached." }));
        return null;
      }
    },
    [sessionFetch, api],
  );
  const reload = useCallback(async () => {
    const sessions = await call("my-sessions");
    if (sessions) setState({ sessions, error: null });
  }, [call]);
  const end = useCallback(async (path) => (await call(path, "DELETE")) && reload(), [call, reload]);

  useEffect(() => void reload(), [reload]);
  return { ...state, reload, signOut: (id) => end(`session/${id}`), signOutOthers: () => end("logout-all?exclude_current=true") };
}
