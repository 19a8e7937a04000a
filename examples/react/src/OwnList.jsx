import { useSessions } from "./useSessions.js";

/** A list with markup of one's own. */
export function OwnList({ sessionFetch, api }) {
  const { sessions, error, signOut } = useSessions(sessionFetch, api);
  return (
    <section>
      <h2>Own markup</h2>
      {error && <p role="alert">{error}</p>}
      <ul>
        {sessions?.map((session) => (
          <li key={session.id}>
            {session.device_name}
            {!session.is_current && <button onClick={() => signOut(session.id)}>Sign out</button>}
          </li>
        ))}
      </ul>
    </section>
  );
}
