/** The problem document of a 401 `session_ended` (RFC 9457). A gateway may have dropped all but `code`. */
export interface SessionEndedProblem {
  code: "session_ended";
  /** For people, in English: why this device was signed out. */
  detail?: string;
  /** `logout`, `revoked`, `admin`, `limit`, `replaced`, `idle` or `expired`; a later release may add a value. */
  end_reason?: string;
  /** ISO 8601, UTC. */
  ended_at?: string;
  device_name?: string;
  /** With `limit`: the device of the newer sign-in. */
  successor_device_name?: string;
  /** With `admin`: `password_changed`, `account_disabled`, `device_lost` or `security`, if a cause was given. */
  because?: string;
  request_id?: string;
}

/**
 * Returns the present access token; with `refresh` a new one, because that one has expired, and keeps it for later
 * calls. Null without one, or if the auth server refuses the refresh.
 */
export type GetToken = (how: { refresh: boolean }) => string | null | Promise<string | null>;

export interface SessionFetchEvents extends EventTarget {
  addEventListener(
    type: "session-ended",
    listener: (event: CustomEvent<SessionEndedProblem>) => void,
    options?: AddEventListenerOptions | boolean,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: AddEventListenerOptions | boolean,
  ): void;
}

export interface SessionFetch {
  (input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Gets one `session-ended` for each refused token. */
  readonly events: SessionFetchEvents;
  /** The given `getToken`, with one refresh at a time: for `<session-list>`, so that both share refreshes. */
  readonly getToken: (how: { refresh: boolean }) => Promise<string | null>;
}

export function createSessionFetch(options: { getToken: GetToken }): SessionFetch;
