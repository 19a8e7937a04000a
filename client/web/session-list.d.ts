import type { GetToken, SessionEndedProblem } from "./session-fetch.js";

/** What went wrong: the service's problem document, or a code of the element itself. */
export interface SessionListProblem {
  /**
   * The service's code, or: `offline` (the browser has no network), `unreachable` (no answer that could be read),
   * `timeout` (no answer within `timeout`), `sign_in` (`getToken` gave no token), `other`.
   */
  code: string;
  status?: number;
  /** For developers, in English. */
  detail?: string;
  request_id?: string;
}

export interface SignedOut {
  /** The sessions that were signed out. */
  ids: number[];
  /** Whether the person chose all other devices. */
  others: boolean;
}

/** A text, or the forms of a number by the keys of `Intl.PluralRules`. `{names}` in braces are filled in. */
export type Words = { [name: string]: string | string[] | Words };

export interface SessionListEvents {
  /** The session of this page has ended: drop the tokens and offer the sign-in. The element shows why. Bubbles. */
  "session-ended": CustomEvent<SessionEndedProblem>;
  /** The person has signed out other devices. Bubbles. */
  "signed-out": CustomEvent<SignedOut>;
  /** A call has failed; the element shows it. Does not bubble. */
  error: CustomEvent<SessionListProblem>;
}

/**
 * `<session-list api="https://api.example.com" lang="en">`: the signed-in devices of whoever has the token.
 *
 * Attributes: `api`, the base URL before `/sessions` (absent: the page's origin); `lang` (absent: the nearest
 * ancestor's, else the browser's).
 */
export class SessionList extends HTMLElement {
  /** Nothing is loaded before it is set; to set it again begins anew. */
  getToken: GetToken | null;
  /** Words by language, which replace or add to English, Uzbek and Russian. `README.md` names the texts. */
  words: Record<string, Words> | null;
  /** Milliseconds after which a call without an answer is given up; 10,000. */
  timeout: number;
  /** Asks the service for the present list; resolves when it is shown, also if that failed. */
  reload(): Promise<void>;
  addEventListener<Type extends keyof SessionListEvents>(
    type: Type,
    listener: (event: SessionListEvents[Type]) => void,
    options?: AddEventListenerOptions | boolean,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: AddEventListenerOptions | boolean,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "session-list": SessionList;
  }
}
