/**
 * `<session-list>`: a person's signed-in devices, as a custom element in one file without dependencies.
 *
 *     <script type="module" src="https://api.example.com/sessions/ui/session-list.js"></script>
 *     <session-list api="https://api.example.com" lang="en"></session-list>
 *     <script type="module">
 *       document.querySelector("session-list").getToken = async ({ refresh }) => (refresh ? renew() : tokens.access);
 *     </script>
 *
 * Attributes: `api` (the origin or base URL before `/sessions`; absent: the page's own origin) and `lang` (absent: the
 * language of the nearest ancestor that has one, else the browser's). Properties: `getToken`, `words`, `timeout`.
 * Method: `reload()`. Events: `session-ended`, `signed-out`, `error`. The README of the npm package describes them, and
 * `session-list.d.ts` types them.
 *
 * The file is read from top to bottom: words, style, small tools, the API's calls, one device's row, the element.
 * Everything that comes from the API is set as text, never parsed as HTML. No style attribute, no inline script, no
 * `eval`: the strictest Content-Security-Policy needs only `script-src` and `connect-src` for the service.
 */

/** Milliseconds between two reloads while the page is visible and in use. */
const RELOAD_EVERY = 30_000;

/** Milliseconds after the person's last input at which reloads stop: each call counts as activity of the session. */
const IN_USE_FOR = 300_000;

/** How many of the ended sessions are shown. */
const ENDED_SHOWN = 10;

/** The words of each language. A text with forms of a number has the keys of `Intl.PluralRules`. */
const WORDS = {
  en: {
    title: "Your devices",
    summary: { one: "You are signed in on {count} device.", other: "You are signed in on {count} devices." },
    loading: "Loading your devices…",
    empty: "You are not signed in on any device.",
    thisDevice: "This device",
    kinds: { web: "Computer", mobile: "Phone", tablet: "Tablet", bot: "Program", unknown: "Device" },
    inUse: "In use now",
    lastUsed: "Last used {time}",
    signedIn: "Signed in {time}",
    now: "just now",
    localNetwork: "local network",
    sameNetwork: "same network as this device",
    reported: "reported by the device",
    signOut: "Sign out",
    signOutDevice: "Sign out {device}",
    signOutOthers: "Sign out all other devices",
    askOne: "Sign out {device}?",
    askOthers: { one: "Sign out {count} other device?", other: "Sign out {count} other devices?" },
    askDetails: "A new sign-in is needed there afterwards. This cannot be undone.",
    cancel: "Cancel",
    signingOut: "Signing out…",
    signedOut: "{device} is signed out.",
    signedOutOthers: { one: "{count} device is signed out.", other: "{count} devices are signed out." },
    endedTitle: "Signed out recently",
    endedAt: "Signed out {time}",
    why: "Why was this device signed out?",
    reasons: {
      logout: "It was signed out on the device itself.",
      revoked: "You signed it out from another device.",
      admin: "An administrator signed it out.",
      limit: "You signed in on another device, and the number of devices is limited.",
      replaced: "The same device signed in again.",
      idle: "It was not used for a long time.",
      expired: "Its sign-in had lasted as long as a sign-in may.",
      other: "Its sign-in has ended.",
    },
    because: {
      password_changed: "Your password was changed.", // pragma: allowlist secret
      account_disabled: "Your account was disabled.",
      device_lost: "The device was reported as lost.",
      security: "It was signed out to protect your account.",
    },
    thisEnded: "This device is signed out.",
    successor: "The newer sign-in was on {device}.",
    retry: "Try again",
    shownBefore: "The list may be out of date.",
    reference: "Reference: {id}",
    errors: {
      offline: "You are offline. The list is updated when the connection is back.",
      unreachable: "The service cannot be reached at the moment.",
      timeout: "The service does not answer at the moment.",
      sign_in: "Please sign in to see your devices.",
      session_not_found: "This device is not in the list any more.",
      current_session_unknown: "It is not known which device this is, so nothing was signed out.",
      other: "Something went wrong.",
    },
  },
  ru: {
    title: "Ваши устройства",
    summary: {
      one: "Вход выполнен на {count} устройстве.",
      few: "Вход выполнен на {count} устройствах.",
      many: "Вход выполнен на {count} устройствах.",
      other: "Вход выполнен на {count} устройства.",
    },
    loading: "Загрузка устройств…",
    empty: "Вход не выполнен ни на одном устройстве.",
    thisDevice: "Это устройство",
    kinds: { web: "Компьютер", mobile: "Телефон", tablet: "Планшет", bot: "Программа", unknown: "Устройство" },
    inUse: "Используется сейчас",
    lastUsed: "Последняя активность: {time}",
    signedIn: "Вход: {time}",
    now: "только что",
    localNetwork: "локальная сеть",
    sameNetwork: "та же сеть, что и у этого устройства",
    reported: "по данным устройства",
    signOut: "Выйти",
    signOutDevice: "Выйти на устройстве {device}",
    signOutOthers: "Выйти на всех других устройствах",
    askOne: "Выйти на устройстве {device}?",
    askOthers: {
      one: "Выйти ещё на {count} устройстве?",
      few: "Выйти ещё на {count} устройствах?",
      many: "Выйти ещё на {count} устройствах?",
      other: "Выйти ещё на {count} устройства?",
    },
    askDetails: "После этого там нужно будет войти заново. Отменить это нельзя.",
    cancel: "Отмена",
    signingOut: "Выполняется выход…",
    signedOut: "Выход на устройстве {device} выполнен.",
    signedOutOthers: {
      one: "Выход выполнен на {count} устройстве.",
      few: "Выход выполнен на {count} устройствах.",
      many: "Выход выполнен на {count} устройствах.",
      other: "Выход выполнен на {count} устройства.",
    },
    endedTitle: "Недавние выходы",
    endedAt: "Выход: {time}",
    why: "Почему на этом устройстве выполнен выход?",
    reasons: {
      logout: "Выход выполнен на самом устройстве.",
      revoked: "Вы выполнили выход с другого устройства.",
      admin: "Выход выполнил администратор.",
      limit: "Вы вошли на другом устройстве, а число устройств ограничено.",
      replaced: "На этом же устройстве вошли снова.",
      idle: "Устройство долго не использовалось.",
      expired: "Истёк наибольший срок входа.",
      other: "Вход на этом устройстве завершён.",
    },
    because: {
      password_changed: "Ваш пароль был изменён.", // pragma: allowlist secret
      account_disabled: "Ваша учётная запись была отключена.",
      device_lost: "Сообщалось, что устройство утеряно.",
      security: "Выход выполнен для защиты вашей учётной записи.",
    },
    thisEnded: "На этом устройстве выполнен выход.",
    successor: "Новый вход был на устройстве {device}.",
    retry: "Повторить",
    shownBefore: "Список мог устареть.",
    reference: "Номер запроса: {id}",
    errors: {
      offline: "Нет подключения к сети. Список обновится, когда связь восстановится.",
      unreachable: "Служба сейчас недоступна.",
      timeout: "Служба сейчас не отвечает.",
      sign_in: "Войдите, чтобы увидеть свои устройства.",
      session_not_found: "Этого устройства больше нет в списке.",
      current_session_unknown: "Неизвестно, какое устройство текущее, поэтому выход не выполнен.",
      other: "Что-то пошло не так.",
    },
  },
  uz: {
    title: "Qurilmalaringiz",
    summary: { other: "Siz {count} ta qurilmada tizimga kirgansiz." },
    loading: "Qurilmalar yuklanmoqda…",
    empty: "Siz hech qaysi qurilmada tizimga kirmagansiz.",
    thisDevice: "Shu qurilma",
    kinds: { web: "Kompyuter", mobile: "Telefon", tablet: "Planshet", bot: "Dastur", unknown: "Qurilma" },
    inUse: "Hozir ishlatilmoqda",
    lastUsed: "Oxirgi faollik: {time}",
    signedIn: "Kirilgan: {time}",
    now: "hozirgina",
    localNetwork: "mahalliy tarmoq",
    sameNetwork: "shu qurilma bilan bir tarmoqda",
    reported: "qurilmaning oʻzi xabar qilgan",
    signOut: "Chiqarish",
    signOutDevice: "{device} qurilmasidan chiqarish",
    signOutOthers: "Boshqa barcha qurilmalardan chiqish",
    askOne: "{device} qurilmasidan chiqilsinmi?",
    askOthers: { other: "Yana {count} ta qurilmadan chiqilsinmi?" },
    askDetails: "Shundan keyin u yerda qaytadan kirish kerak boʻladi. Buni bekor qilib boʻlmaydi.",
    cancel: "Bekor qilish",
    signingOut: "Chiqilmoqda…",
    signedOut: "{device} qurilmasidan chiqildi.",
    signedOutOthers: { other: "{count} ta qurilmadan chiqildi." },
    endedTitle: "Yaqinda chiqilgan qurilmalar",
    endedAt: "Chiqilgan: {time}",
    why: "Nega bu qurilmadan chiqilgan?",
    reasons: {
      logout: "Qurilmaning oʻzida tizimdan chiqilgan.",
      revoked: "Siz boshqa qurilmadan turib chiqargansiz.",
      admin: "Administrator chiqargan.",
      limit: "Siz boshqa qurilmada kirdingiz, qurilmalar soni esa cheklangan.",
      replaced: "Shu qurilmaning oʻzida qaytadan kirilgan.",
      idle: "Qurilma uzoq vaqt ishlatilmagan.",
      expired: "Kirishning eng uzoq muddati tugagan.",
      other: "Bu qurilmadagi kirish yakunlangan.",
    },
    because: {
      password_changed: "Parolingiz oʻzgartirilgan.", // pragma: allowlist secret
      account_disabled: "Hisobingiz oʻchirib qoʻyilgan.",
      device_lost: "Qurilma yoʻqolgani haqida xabar berilgan.",
      security: "Hisobingizni himoya qilish uchun chiqarilgan.",
    },
    thisEnded: "Bu qurilmada tizimdan chiqilgan.",
    successor: "Yangi kirish {device} qurilmasida boʻlgan.",
    retry: "Qayta urinish",
    shownBefore: "Roʻyxat eskirgan boʻlishi mumkin.",
    reference: "Soʻrov raqami: {id}",
    errors: {
      offline: "Internetga ulanmagansiz. Aloqa tiklanganda roʻyxat yangilanadi.",
      unreachable: "Xizmat hozir ishlamayapti.",
      timeout: "Xizmat hozir javob bermayapti.",
      sign_in: "Qurilmalaringizni koʻrish uchun tizimga kiring.",
      session_not_found: "Bu qurilma endi roʻyxatda yoʻq.",
      current_session_unknown: "Qaysi qurilma shu ekani nomaʼlum, shuning uchun hech biridan chiqilmadi.",
      other: "Nimadir xato ketdi.",
    },
    // Chromium takes Uzbek for supported, but has no Uzbek names of months and units: it writes "2026 M11 26".
    ago: { minute: "{count} daqiqa oldin", hour: "{count} soat oldin", day: "{count} kun oldin" },
    months: "yanvar fevral mart aprel may iyun iyul avgust sentabr oktabr noyabr dekabr".split(" "),
    date: "{day}-{month} {year}-yil, {time}",
  },
};

const CSS = `
:host {
  --accent: var(--session-list-accent, light-dark(#0b57d0, #a8c7fa));
  --on-accent: var(--session-list-on-accent, light-dark(#fff, #062e6f));
  --text: light-dark(#1b1c20, #e5e6eb);
  --muted: light-dark(#55575f, #adb0ba);
  --surface: light-dark(#fff, #1d1e22);
  --line: light-dark(#d8dae1, #3f4149);
  --danger: light-dark(#b3261e, #f2b8b5);
  --notice: light-dark(#fdf3e1, #3a2f1a);
  display: block;
  container-type: inline-size;
  color: var(--text);
  font: 1rem/1.5 var(--session-list-font, system-ui, sans-serif);
  text-align: start;
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
h2, h3, p, ul { margin: 0; padding: 0; }
h2 { font-size: 1.375rem; line-height: 1.25; }
h3 { font-size: 1.0625rem; margin-block: 1.75rem .625rem; }
bdi { overflow-wrap: anywhere; }
ul { list-style: none; border: 1px solid var(--line); border-radius: .875rem; background: var(--surface); }
li { display: flex; flex-wrap: wrap; gap: .25rem .875rem; align-items: flex-start; padding: .875rem 1rem; }
li + li { border-block-start: 1px solid var(--line); }
.head { display: flex; flex-wrap: wrap; gap: .625rem 1rem; align-items: center; margin-block-end: 1rem; }
.head > div { flex: 1 1 14rem; min-inline-size: 0; }
.icon { flex: none; inline-size: 2.5rem; block-size: 2.5rem; padding: .5rem; border-radius: 50%;
  color: var(--accent); background: color-mix(in srgb, var(--accent) 12%, transparent); }
.icon svg { display: block; inline-size: 100%; block-size: 100%; }
.what { flex: 1 1 10rem; min-inline-size: 0; }
.name { font-weight: 600; }
.badge { display: inline-block; margin-inline-start: .375rem; padding: 0 .5rem; border-radius: 1rem;
  color: var(--on-accent); background: var(--accent); font-size: .75rem; font-weight: 600; line-height: 1.375rem;
  vertical-align: .0625rem; white-space: nowrap; }
.muted { color: var(--muted); font-size: .875rem; overflow-wrap: anywhere; }
.notice { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; justify-content: space-between;
  margin-block-end: 1rem; padding: .75rem 1rem; border-radius: .875rem; background: var(--notice); }
.notice > div { flex: 1 1 12rem; min-inline-size: 0; overflow-wrap: anywhere; }
.status:not(:empty) { margin-block-end: 1rem; font-size: .875rem; color: var(--muted); overflow-wrap: anywhere; }
button, summary { font: inherit; font-size: .875rem; cursor: pointer; border-radius: .5rem; }
button { padding: .4375rem .875rem; border: 1px solid var(--line); font-weight: 600; color: var(--accent);
  background: var(--surface); max-inline-size: 100%; }
button:hover { border-color: currentColor; }
button.danger { color: var(--danger); }
button[aria-disabled="true"] { cursor: progress; opacity: .75; }
:focus-visible { outline: .1875rem solid var(--accent); outline-offset: .125rem; }
summary { display: inline-block; color: var(--accent); }
summary::after { content: " ▾"; content: " ▾" / ""; }
details[open] > summary::after { content: " ▴"; content: " ▴" / ""; }
.ended .icon { color: var(--muted); background: color-mix(in srgb, var(--muted) 12%, transparent); }
dialog { inline-size: min(26rem, calc(100vw - 2rem)); padding: 1.25rem; border: 1px solid var(--line);
  border-radius: 1rem; color: var(--text); background: var(--surface); }
dialog::backdrop { background: rgb(0 0 0 / .45); }
dialog h2 { font-size: 1.125rem; overflow-wrap: anywhere; }
dialog p { margin-block-start: .5rem; }
dialog .buttons { display: flex; flex-wrap: wrap; gap: .625rem; justify-content: flex-end; margin-block-start: 1.25rem; }
dialog .failed { color: var(--danger); }
dialog .failed:empty { display: none; }
.hidden { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.bone { block-size: 2.5rem; flex: 1; border-radius: .5rem; background: var(--line); opacity: .5; }
@media (prefers-reduced-motion: no-preference) {
  .bone { animation: breathe 1.6s ease-in-out infinite alternate; }
  @keyframes breathe { to { opacity: .2; } }
}
@container (max-width: 22rem) { li > button { margin-inline-start: 3.375rem; } }
@media (forced-colors: active) { .badge { border: 1px solid; } }
`;

/** The shapes of the icons, 24 by 24, drawn as lines. */
const ICONS = {
  web: "M4 5h16v10H4z M2 19h20 M9 19v-.5h6v.5",
  mobile: "M7 2.5h10v19H7z M11 18.5h2",
  tablet: "M4.5 2.5h15v19h-15z M11 18.5h2",
  bot: "M4 5h16v14H4z M7.5 9.5 10 12l-2.5 2.5 M12.5 15h4",
  unknown: "M12 3.5a8.5 8.5 0 1 0 .01 0z M9.75 9.5a2.25 2.25 0 1 1 3.2 2c-.6.3-.95.8-.95 1.6 M12 16v.5",
};

// Small tools

/** Return a new element. `text` and `children` are set as text or nodes; everything else is an attribute. */
function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...(text === undefined ? children : [text]));
  return element;
}

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const attributes = { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.75" };
  for (const [name, value] of Object.entries({ ...attributes, "stroke-linejoin": "round", "stroke-linecap": "round" })) {
    svg.setAttribute(name, value);
  }
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[kind] ?? ICONS.unknown);
  svg.append(path);
  return make("span", { class: "icon", "aria-hidden": "true" }, svg);
}

/** Return a device's name as an element that keeps its direction, and marks of direction within it, to itself. */
const deviceName = (name) => make("bdi", { text: name });

/** Return *template* as texts and nodes, with the *values* for its `{names}`. */
function fill(template, values) {
  return template.split(/\{(\w+)\}/).map((part, index) => (index % 2 ? (values[part] ?? "") : part));
}

/** Return the object *base* with the values of *over*, also within its own objects. */
function merged(base, over) {
  const result = { ...base };
  for (const [key, value] of Object.entries(over ?? {})) {
    const isObject = value && typeof value === "object" && !Array.isArray(value);
    // Forms of a number are replaced as a whole: another language has other forms.
    result[key] = isObject && typeof base[key] === "object" && !("other" in value) ? merged(base[key], value) : value;
  }
  return result;
}

/** Return what two addresses of one network have in common: an IPv4 address, or the /64 of an IPv6 address. */
function networkOf(address) {
  if (!address?.includes(":")) return address;
  const [head, tail] = address.split("::").map((half) => (half ? half.split(":") : []));
  const groups = tail ? [...head, ...Array(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail] : head;
  return groups.slice(0, 4).map((group) => parseInt(group, 16)).join(":");
}

const isLocal = (address) =>
  /^(10|127|169\.254|192\.168|172\.(1[6-9]|2\d|3[01]))\.|^(::1$|f[cd]|fe[89ab])/i.test(address ?? "");

/** Return *list* with exactly the *elements* in this order. One that is in its place is not moved: it keeps the focus. */
function arrange(list, elements) {
  const wanted = new Set(elements);
  for (const element of [...list.children]) if (!wanted.has(element)) element.remove();
  elements.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

/** Return the person's own variant of a language, where the page names only the language: en-GB for en. */
function regional(locale) {
  return globalThis.navigator?.languages?.find((own) => own.startsWith(`${locale}-`)) ?? locale;
}

/** The words, numbers and times of one language. */
class Language {
  constructor(wanted, own) {
    let locale = "en";
    try {
      [locale = "en"] = Intl.getCanonicalLocales(wanted || "en");
    } catch {
      // An attribute that is no language tag is the author's slip, not a reason to show nothing.
    }
    const base = locale.split("-")[0];
    const custom = own?.[locale] ?? own?.[base];
    // Numbers and dates follow the language of the words, so that no sentence is in two languages.
    this.locale = regional(custom || WORDS[base] ? locale : "en");
    this.words = merged(merged(WORDS.en, WORDS[base]), custom);
    this.plurals = new Intl.PluralRules(this.locale);
    this.numbers = new Intl.NumberFormat(this.locale);
  }

  /** Return the text of *forms* for a number, as `fill` does. */
  count(forms, count, values = {}) {
    const form = forms[this.plurals.select(count)] ?? forms.other;
    return fill(form, { count: this.numbers.format(count), ...values });
  }

  reason(session) {
    return this.words.because[session.because] ?? this.words.reasons[session.end_reason] ?? this.words.reasons.other;
  }

  error(code) {
    return this.words.errors[code] ?? this.words.errors.other;
  }

  /** Return how long ago an instant was, in words; from a week on, its date. */
  ago(instant, now) {
    const minutes = Math.floor((now - instant) / 60_000);
    if (minutes < 1) return this.words.now; // also for a service whose clock is ahead
    const [unit, count] =
      minutes < 60 ? ["minute", minutes] : minutes < 1440 ? ["hour", minutes / 60] : ["day", minutes / 1440];
    if (count >= 7 && unit === "day") return this.date(instant);
    const whole = Math.floor(count);
    if (this.words.ago) return fill(this.words.ago[unit], { count: this.numbers.format(whole) }).join("");
    return new Intl.RelativeTimeFormat(this.locale).format(-whole, unit);
  }

  date(instant) {
    if (!this.words.months) {
      return new Intl.DateTimeFormat(this.locale, { dateStyle: "long", timeStyle: "short" }).format(instant);
    }
    const time = [instant.getHours(), instant.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
    const month = this.words.months[instant.getMonth()];
    const parts = { day: String(instant.getDate()), month, year: String(instant.getFullYear()), time };
    return fill(this.words.date, parts).join("");
  }
}

// The API

/** What went wrong: the problem document of an answer, or `offline`, `unreachable`, `timeout`, `sign_in` as its code. */
class Problem extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.code);
    this.problem = problem;
  }
}

/** Calls of the service with the application's token. */
class Service {
  #refreshing = null;

  constructor(api, getToken, timeout) {
    this.base = (api ?? "").replace(/\/+$/, "");
    this.getToken = getToken;
    this.timeout = timeout;
  }

  /**
   * Return the JSON of an answer. A 401 `token_expired` is repeated once, with the token of a refresh.
   *
   * @throws {Problem}
   */
  async call(method, path, signal) {
    const token = await this.#token({ refresh: false });
    let answer = await this.#send(method, path, token, signal);
    if (answer.problem?.code === "token_expired") {
      answer = await this.#send(method, path, await this.#newerThan(token), signal);
    }
    if (answer.problem) throw new Problem(answer.problem);
    return answer.body;
  }

  /** Return a token that is not *expired*: another call may have refreshed it meanwhile. */
  async #newerThan(expired) {
    const latest = await this.#token({ refresh: false });
    if (latest !== expired) return latest;
    this.#refreshing ??= this.#token({ refresh: true }).finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #token(how) {
    let token = null;
    try {
      token = await this.getToken(how);
    } catch (error) {
      throw new Problem({ code: navigator.onLine ? "unreachable" : "offline", detail: String(error) });
    }
    if (!token) throw new Problem({ code: "sign_in", detail: "getToken gave no token" });
    return token;
  }

  async #send(method, path, token, signal) {
    const limit = AbortSignal.timeout(this.timeout);
    try {
      const headers = { Authorization: `Bearer ${token}` };
      // Not with `cache: "no-store"`, which the answers say themselves: it would add a preflight to each call.
      const options = { method, headers, credentials: "omit", signal: AbortSignal.any([signal, limit]) };
      const response = await fetch(this.base + path, options);
      // A gateway may have dropped or replaced the body; the code of a 401 is in a header, too.
      const body = await response.json().catch((error) => {
        if (limit.aborted || signal.aborted) throw error;
        return {};
      });
      if (response.ok) return { body };
      const code = response.headers.get("X-Session-Code") ?? body.code ?? "other";
      return { problem: { ...body, code, status: response.status } };
    } catch (error) {
      if (signal.aborted) throw error;
      const code = limit.aborted ? "timeout" : navigator.onLine ? "unreachable" : "offline";
      throw new Problem({ code, detail: String(error) });
    }
  }
}

/** Return the code of the sentence for a problem: many have the same one for the person who reads it. */
function sentenceOf({ code, status }) {
  if (status === 503) return "unreachable";
  return status === 401 ? "sign_in" : code;
}

// One device

/** The row of one session, active or ended. Its element stays while the session is shown. */
class Row {
  constructor(onSignOut) {
    this.name = make("span", { class: "name" });
    this.badge = make("span", { class: "badge" });
    this.kind = make("span", { class: "hidden" });
    this.times = make("p", { class: "muted" });
    this.place = make("p", { class: "muted" });
    this.button = make("button", { class: "danger", type: "button" });
    this.button.addEventListener("click", () => onSignOut(this.session));
    this.why = make("summary");
    this.reason = make("p", { class: "muted" });
    this.details = make("details", {}, this.why, this.reason);
    this.what = make("div", { class: "what" }, make("div", {}, this.kind, this.name, this.badge), this.times, this.place);
    this.element = make("li", {}, make("span"), this.what);
  }

  show(session, current, language) {
    const { words } = language;
    this.session = session;
    this.element.firstChild.replaceWith(icon(session.device_type));
    this.kind.textContent = `${words.kinds[session.device_type] ?? words.kinds.unknown}: `;
    this.name.replaceChildren(deviceName(session.device_name));
    this.badge.textContent = session.is_current ? words.thisDevice : "";
    this.badge.hidden = !session.is_current;
    this.#showPlace(session, current, words);
    if (session.is_active) this.#showActive(session, words);
    else this.#showEnded(language, words);
    this.tick(language);
  }

  #showActive(session, words) {
    this.button.textContent = words.signOut;
    this.button.setAttribute("aria-label", fill(words.signOutDevice, { device: session.device_name }).join(""));
    this.details.remove();
    // Signing out this device is the application's own button: it has to drop its tokens, too.
    if (session.is_current) this.button.remove();
    else if (!this.button.isConnected) this.element.append(this.button);
  }

  #showEnded(language, words) {
    this.button.remove();
    this.why.textContent = words.why;
    this.reason.textContent = `${language.reason(this.session)} (${language.date(new Date(this.session.ended_at))})`;
    if (!this.details.isConnected) this.what.append(this.details);
  }

  #showPlace({ ip_address: address, ip_source: source, is_current: isCurrent }, current, words) {
    const isSame = !isCurrent && current && address && networkOf(address) === networkOf(current.ip_address);
    const notes = [isSame && words.sameNetwork, isLocal(address) && words.localNetwork];
    if (source === "reported") notes.push(words.reported);
    const known = notes.filter(Boolean).join(", ");
    this.place.hidden = !address;
    this.place.replaceChildren(make("bdi", { text: address ?? "" }), known ? ` · ${known}` : "");
  }

  /** Bring the words for times up to date. */
  tick(language) {
    const { words } = language;
    const time = (text) => {
      const instant = new Date(text);
      const attributes = { datetime: text, title: language.date(instant), text: language.ago(instant, Date.now()) };
      return make("time", attributes);
    };
    const { session } = this;
    const parts = session.is_active
      ? [
          session.is_current ? [words.inUse] : fill(words.lastUsed, { time: time(session.last_activity) }),
          fill(words.signedIn, { time: time(session.created_at) }),
        ]
      : [fill(words.endedAt, { time: time(session.ended_at) }), fill(words.signedIn, { time: time(session.created_at) })];
    this.times.replaceChildren(...parts[0], " · ", ...parts[1]);
  }
}

// The element

// On a server (React, Vue) the module can be imported, too: the element exists in browsers only.
const Base = globalThis.HTMLElement ?? class {};
let sheet = null;

/** The custom element. See the top of this file. */
export class SessionList extends Base {
  static observedAttributes = ["api", "lang"];

  #getToken = null;
  #words = null;
  #language = null;
  #service = null;
  #sessions = null;
  #problem = null;
  #ended = null;
  #rows = new Map();
  #parts = null;
  #stop = null;
  #loading = null;
  #loadedAt = 0;
  #usedAt = 0;
  #channel = null;
  #asked = null;
  /** Milliseconds after which a call that has no answer is given up. */
  timeout = 10_000;

  constructor() {
    super();
    this.attachShadow({ mode: "open" });
    if (!sheet) (sheet = new CSSStyleSheet()).replaceSync(CSS);
    this.shadowRoot.adoptedStyleSheets = [sheet];
    this.#build();
  }

  /** `async ({refresh}) => token`: the present access token; with `refresh` a new one, because that one has expired. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.#restart();
  }

  /** Words by language, `{de: {title: "Ihre Geräte", …}}`; what a language lacks is taken from its own or English. */
  get words() {
    return this.#words;
  }

  set words(words) {
    this.#words = words;
    this.#speak();
  }

  /** @internal */
  connectedCallback() {
    // A property that was set before this module was loaded hides the accessor of the class.
    for (const name of ["getToken", "words", "timeout"]) {
      if (Object.hasOwn(this, name) && name !== "timeout") {
        const value = this[name];
        delete this[name];
        this[name] = value;
      }
    }
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const use = () => (this.#usedAt = Date.now());
    use();
    for (const type of ["pointerdown", "keydown", "focusin"]) document.addEventListener(type, use, { signal, passive: true });
    document.addEventListener("visibilitychange", () => document.hidden || (use(), this.#reloadIfOld()), { signal });
    window.addEventListener("focus", () => (use(), this.#reloadIfOld()), { signal });
    window.addEventListener("online", () => this.reload(), { signal });
    window.addEventListener("offline", () => this.#fail({ code: "offline" }), { signal });
    const timer = setInterval(() => this.#tick(), RELOAD_EVERY);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#speak();
    this.#restart();
  }

  /** @internal */
  disconnectedCallback() {
    this.#stop?.abort();
    this.#channel?.close();
    this.#stop = this.#channel = this.#loading = null;
  }

  /** @internal */
  attributeChangedCallback(name) {
    if (!this.isConnected || !this.#stop) return;
    if (name === "lang") this.#speak();
    else this.#restart();
  }

  /** Ask the service for the present list, also after a `session-ended` when the person has signed in again. */
  async reload() {
    if (!this.#stop || !this.#getToken) return;
    this.#ended = null;
    this.#service ??= new Service(this.getAttribute("api"), (how) => this.#getToken(how), this.timeout);
    const loading = (this.#loading = new AbortController());
    const { signal } = loading;
    this.#stop.signal.addEventListener("abort", () => loading.abort(), { signal });
    try {
      this.#service.timeout = this.timeout;
      const sessions = await this.#service.call("GET", "/sessions/my-sessions?include_inactive=true", signal);
      if (this.#loading !== loading) return; // a later call has begun: its answer counts
      if (!Array.isArray(sessions)) throw new Problem({ code: "other", detail: "The answer is no list." });
      this.#sessions = sessions;
      // An answer that was under way when the network went does not bring it back.
      this.#problem = navigator.onLine ? null : { code: "offline" };
    } catch (error) {
      if (this.#loading !== loading || signal.aborted) return;
      this.#report(error);
    } finally {
      if (this.#loading === loading) this.#loadedAt = Date.now();
    }
    this.#render();
  }

  #restart() {
    if (!this.#stop) return;
    this.#channel?.close();
    this.#service = this.#sessions = this.#problem = this.#ended = null;
    this.#render();
    if (!this.#getToken) return;
    // Another tab that signs devices out says so here; what it says is only a reason to ask the service.
    this.#channel = new BroadcastChannel(`session-list ${this.getAttribute("api") ?? ""}`);
    this.#channel.addEventListener("message", () => this.#ended || this.reload());
    this.reload();
  }

  #tick() {
    for (const row of this.#rows.values()) row.tick(this.#language);
    if (!document.hidden && Date.now() - this.#usedAt < IN_USE_FOR) this.#reloadIfOld();
  }

  #reloadIfOld() {
    if (!this.#ended && Date.now() - this.#loadedAt > RELOAD_EVERY / 2) this.reload();
  }

  #emit(type, detail, bubbles) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles, composed: bubbles }));
  }

  /** Keep a failure for `#render`, and tell the page. */
  #report(error) {
    const problem = error instanceof Problem ? error.problem : { code: "other", detail: String(error) };
    if (problem.code === "session_ended") {
      this.#ended = problem;
      this.#sessions = this.#problem = null;
      this.#parts.dialog.close();
      this.#emit("session-ended", problem, true);
    } else {
      this.#problem = problem;
      // An `error` that bubbles would reach `window`, where pages collect exceptions.
      this.#emit("error", problem, false);
    }
    return problem;
  }

  #fail(problem) {
    if (this.#ended || !this.#getToken) return;
    this.#report(new Problem(problem));
    this.#render();
  }

  // What is shown

  #build() {
    const p = (this.#parts = {
      title: make("h2", { id: "title", tabindex: "-1" }),
      summary: make("p", { class: "muted" }),
      others: make("button", { type: "button", class: "danger", part: "sign-out-others" }),
      status: make("p", { class: "status", role: "status" }),
      message: make("div"),
      retry: make("button", { type: "button" }),
      devices: make("ul", { "aria-labelledby": "title", part: "devices" }),
      bones: make("ul", { "aria-hidden": "true" }),
      endedTitle: make("h3", { id: "ended-title" }),
      ended: make("ul", { class: "ended", "aria-labelledby": "ended-title", part: "ended" }),
      question: make("h2", { id: "question" }),
      details: make("p", { id: "details" }),
      failed: make("p", { class: "failed", role: "alert" }),
      cancel: make("button", { type: "button" }),
      confirm: make("button", { type: "button", class: "danger" }),
    });
    p.bones.append(...[1, 2, 3].map(() => make("li", {}, make("span", { class: "bone" }))));
    p.head = make("div", { class: "head" }, make("div", {}, p.title, p.summary), p.others);
    p.notice = make("div", { class: "notice", role: "alert" }, p.message, p.retry);
    p.dialog = make("dialog", { "aria-labelledby": "question", "aria-describedby": "details" });
    p.dialog.append(p.question, p.details, p.failed, make("div", { class: "buttons" }, p.cancel, p.confirm));
    p.root = make("section", { "aria-labelledby": "title" });
    p.root.append(p.head, p.status, p.notice, p.bones, p.devices, p.endedTitle, p.ended, p.dialog);
    this.shadowRoot.append(p.root);
    p.others.addEventListener("click", () => this.#ask(null));
    p.retry.addEventListener("click", () => this.reload());
    p.cancel.addEventListener("click", () => this.#asked?.isBusy || p.dialog.close());
    p.confirm.addEventListener("click", () => this.#carryOut());
    // Esc must not hide how a sign-out that is under way ends.
    p.dialog.addEventListener("cancel", (event) => this.#asked?.isBusy && event.preventDefault());
    p.dialog.addEventListener("close", () => {
      // A sign-out that got no answer may have happened.
      const isInDoubt = this.#asked?.hasFailed;
      this.#asked = null;
      if (isInDoubt && !this.#ended) this.reload();
    });
  }

  #speak() {
    const wanted = this.closest("[lang]")?.lang || navigator.language;
    this.#language = new Language(wanted, this.#words);
    const { words, locale } = this.#language;
    const p = this.#parts;
    p.root.lang = locale;
    p.title.textContent = words.title;
    p.others.textContent = words.signOutOthers;
    p.retry.textContent = words.retry;
    p.endedTitle.textContent = words.endedTitle;
    p.cancel.textContent = words.cancel;
    p.status.textContent = "";
    if (this.#stop) this.#render();
  }

  #render() {
    const p = this.#parts;
    const sessions = this.#sessions ?? [];
    const active = sessions.filter((session) => session.is_active);
    const current = active.find((session) => session.is_current);
    const gone = sessions.filter((session) => !session.is_active && session.ended_at);
    gone.sort((one, other) => new Date(other.ended_at) - new Date(one.ended_at) || other.id - one.id);
    const ended = gone.slice(0, ENDED_SHOWN);
    const isLoading = !this.#sessions && !this.#problem && !this.#ended;

    p.root.setAttribute("aria-busy", String(isLoading));
    p.bones.hidden = !isLoading;
    p.summary.replaceChildren(...this.#summary(isLoading, active.length));
    p.others.hidden = !current || active.length < 2;
    this.#notice();
    const focused = this.shadowRoot.activeElement;
    this.#list(p.devices, active, current);
    this.#list(p.ended, ended, current);
    p.endedTitle.hidden = !ended.length;
    for (const id of this.#rows.keys()) if (!sessions.some((session) => session.id === id)) this.#rows.delete(id);
    // What had the focus may have moved, or be gone: then the keyboard goes on from the list's title.
    if (focused && !this.shadowRoot.activeElement) focused.focus();
    if (focused && !this.shadowRoot.activeElement) p.title.focus();
    if (this.#asked?.session && !active.some((one) => one.id === this.#asked.session.id) && !this.#asked.isBusy) {
      p.dialog.close();
    }
  }

  #summary(isLoading, active) {
    const { words } = this.#language;
    if (isLoading) return [words.loading];
    if (!this.#sessions) return [];
    return active ? this.#language.count(words.summary, active) : [words.empty];
  }

  #list(list, sessions, current) {
    list.hidden = !sessions.length;
    const rows = sessions.map((session) => {
      if (!this.#rows.has(session.id)) this.#rows.set(session.id, new Row((chosen) => this.#ask(chosen)));
      const row = this.#rows.get(session.id);
      row.show(session, current, this.#language);
      return row.element;
    });
    arrange(list, rows);
  }

  #notice() {
    const p = this.#parts;
    const { words } = this.#language;
    const problem = this.#problem;
    p.notice.hidden = !problem && !this.#ended;
    p.retry.hidden = !problem || problem.code === "offline";
    let lines = [];
    if (this.#ended) {
      lines = [[words.thisEnded, " ", this.#language.reason(this.#ended)]];
      const { successor_device_name: successor } = this.#ended;
      if (successor) lines.push(fill(words.successor, { device: deviceName(successor) }));
    } else if (problem) {
      lines = [[this.#language.error(sentenceOf(problem)), ...(this.#sessions ? [" ", words.shownBefore] : [])]];
      if (problem.status >= 500 && problem.request_id) lines.push(fill(words.reference, { id: problem.request_id }));
    }
    const shown = lines.map((line, index) => make("p", index ? { class: "muted" } : {}, ...line));
    // An alert whose text is written again is read out again.
    if (shown.map((line) => line.textContent).join() !== [...p.message.children].map((line) => line.textContent).join()) {
      p.message.replaceChildren(...shown);
    }
  }

  // Signing out

  /** Ask whether to sign out *session*, or all others if it is null. */
  #ask(session) {
    const p = this.#parts;
    const { words } = this.#language;
    const others = this.#sessions.filter((one) => one.is_active && !one.is_current);
    this.#asked = { session, isBusy: false, hasFailed: false };
    const question = session
      ? fill(words.askOne, { device: deviceName(session.device_name) })
      : this.#language.count(words.askOthers, others.length);
    p.question.replaceChildren(...question);
    p.details.textContent = words.askDetails;
    p.failed.textContent = "";
    p.confirm.textContent = session ? words.signOut : words.signOutOthers;
    this.#setBusy(false);
    p.dialog.showModal();
    p.cancel.focus();
  }

  #setBusy(isBusy) {
    if (this.#asked) this.#asked.isBusy = isBusy;
    // Not `disabled`, which would take the focus away.
    for (const button of [this.#parts.cancel, this.#parts.confirm]) button.setAttribute("aria-disabled", String(isBusy));
  }

  async #carryOut() {
    const p = this.#parts;
    const { words } = this.#language;
    const asked = this.#asked;
    if (!asked || asked.isBusy) return;
    const label = p.confirm.textContent;
    this.#setBusy(true);
    p.failed.textContent = "";
    p.confirm.textContent = words.signingOut;
    const path = asked.session ? `/sessions/session/${Number(asked.session.id)}` : "/sessions/logout-all?exclude_current=true";
    try {
      const answer = await this.#service.call("DELETE", path, this.#stop.signal);
      this.#done(asked, answer);
    } catch (error) {
      if (!this.#stop) return;
      const problem = this.#report(error);
      // The list itself is as good as before; the dialog says what went wrong.
      this.#problem = null;
      p.failed.textContent = this.#language.error(sentenceOf(problem));
      p.confirm.textContent = label;
      asked.hasFailed = true;
      this.#setBusy(false);
      if (this.#ended) this.#render();
    }
  }

  #done(asked, answer) {
    const p = this.#parts;
    const { words } = this.#language;
    const { session } = asked;
    const ids = session ? [session.id] : this.#sessions.filter((one) => one.is_active && !one.is_current).map((one) => one.id);
    asked.isBusy = false;
    p.dialog.close();
    const said = session
      ? fill(words.signedOut, { device: deviceName(session.device_name) })
      : this.#language.count(words.signedOutOthers, answer.closed ?? ids.length);
    p.status.replaceChildren(...said);
    p.title.focus();
    this.#emit("signed-out", { ids, others: !session }, true);
    this.#channel?.postMessage("changed");
    this.reload();
  }
}

if (globalThis.customElements && !customElements.get("session-list")) customElements.define("session-list", SessionList);
