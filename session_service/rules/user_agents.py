"""What a user agent tells, and no more. `devices` makes of it what people recognise.

User agents tell less than they seem to: Windows 11 sends 10, macOS is frozen at 10.15.7, an iPad in desktop mode sends
exactly what a Mac sends, Brave and today's Vivaldi send Chrome's, and an app's CFNetwork agent is the same on iPhone,
iPad and (with Apple silicon) Mac: it reads "on iOS".
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from ua_parser import OS, Domain, PartialResult, UserAgent
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from session_service.rules.identifiers import MAX_TEXT_LENGTH

MAX_USER_AGENT_LENGTH = 512
"""Characters of a user agent that are parsed and stored; the rest is cut off."""

# Built when the module is loaded, which gunicorn.conf.py does before the fork: it takes about 250 ms. The Rust
# resolver is named here because ua_parser.parse() silently falls back to Python's `re`, in which a hostile agent takes
# 0.2 s.
_PARSER = Resolver(load_lazy_builtins())

_NAMES = {
    "Amazon Silk": "Silk",
    "Android": "Android Browser",
    "Facebook Messenger": "Messenger",
    "Google": "Google app",
    "HeadlessChrome": "Chrome",
    "IE": "Internet Explorer",
    "MiuiBrowser": "Mi Browser",
    "Mobile Safari": "Safari",
    "Opera Touch": "Opera",
    "PostmanRuntime": "Postman",
    "WeChat Browser": "WeChat",
    # A page inside an app that does not send its name: "App on Android".
    **dict.fromkeys(("Apple Mail", "Chrome Mobile WebView", "Electron", "Mobile Safari UI/WKWebView"), "App"),
}
"""Families and products as people call them. Others are kept, without "Mobile" and "iOS" at their end."""

_IN_APP = {
    " HuaweiBrowser/": "Huawei Browser",
    "[LinkedInApp]": "LinkedIn",
    "Orca-Android": "Messenger",
    " Barcelona ": "Threads",
}
"""Marks of apps that the parser does not name, or takes for another one."""

# Checked before the parser, which takes HTTPie's agent for a phone and Java's for a crawler. It need not be complete:
# a library that is missing here keeps its name, and counts as an app only if its agent names a phone's system.
_LIBRARY = re.compile(
    r"aiohttp|alamofire|apache-http(?:async)?client|axios|bun|curl|dart|deno|faraday|go-http-client|got|guzzlehttp"
    r"|httpie|httpx|hyper|insomnia|java(?:-http-client)?|ktor(?:-client)?|libcurl|libwww-perl|node(?:-fetch)?|okhttp"
    r"|php|postman|python(?:-\w+)?|reactornetty|reqwest|rest-client|restsharp|ruby|symfony|typhoeus|undici"
    r"|volley|wget|windowspowershell",
    re.I,
)
_HARDWARE_TYPES = {"iPhone": "mobile", "iPod": "mobile", "iPad": "tablet"}
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS", "Web0S": "webOS"}
PHONE_SYSTEMS = ("Android", "iOS")

_BROWSER_AGENT = re.compile(r"(?:Mozilla|Opera|UCWEB|Lynx)/\d", re.I)
# Spaces only before a version: "iOS Example/1.0", "node-fetch (+https://..."
_PRODUCT = re.compile(r"(?:Python/\S+ (?=aiohttp/))?([\w%][^\s/;(),]*(?:(?: [^\s/;(),]+){0,3}(?=/v?\d))?)(/v?\d)?")
_VERSION = re.compile(r"\W?\d.*")
_APPLE_APP = re.compile(r" (?:CFNetwork|Alamofire)/")
# Parts of the system that call on behalf of an app without its name.
_SYSTEM_PART = re.compile(r"CFNetwork/|(?:Mobile)?Safari/|com\.apple\.|AppleCoreMedia/|Dalvik/")

_LINUX = re.compile(r"X11;.*Linux")
_MAC_APP = re.compile(r"Darwin/[\d.]+ \((?:x86_64|i386)|\bmacOS \d")
# Chrome and Firefox on an iPad, and pages in its apps, send Macintosh first, and then what no Mac sends.
_NO_MAC = re.compile(r"\b\w+iOS/|\bMobile/")
_HARDWARE = re.compile(
    r"(?<!like )\b(iPhone|iPad|iPod|PlayStation|Xbox|Nintendo|Quest)(?![A-Za-z/])"
    r"|(?:\b|Smart|Google|Hbb)TV\b|\bBRAVIA|\bCrKey/|\bAFT[A-Z]"
)
_TABLET = re.compile(r"\bTablet\b|\bKF[A-Z]{3,}|\bSM-[TX]\d|\bNexus (?:7|9|10)\b")
_MOBILE = re.compile(r"\b(?:Mobile|Opera Mini|Windows Phone)\b")
_MODELS = {
    "iOS": re.compile(r"\b((?:iPhone|iPad|iPod)\d+,\d+)"),
    # What follows Android's version and a locale. The parser's own model is the browser's name on Huawei phones and
    # missing on Xiaomi's. K is Chrome's placeholder for every model; a build or API number is a version.
    "Android": re.compile(
        r"Android[ \d.]*; (?:HarmonyOS; |[a-z]{2}[-_][A-Za-z]{2}; )?(?!(?:K|Mobile|Tablet)[;)])"
        r"(?!(?i:build|version|sdk|api|v)?[ :]?[\d.]+ ?[;)])([^;)/]+?)(?: Build/[^;)]*)?[;)]"
    ),
}


_MODEL_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{2,}[a-z]?")
"""A model that only its maker can read: SM-A546E, CPH1919, M2101K6G."""
_MAKERS = {
    **dict.fromkeys(("SM-", "GT-"), "Samsung"),
    **{"KF": "Amazon", "LM-": "LG", "RMX": "realme", "TA-": "Nokia", "XQ-": "Sony", "XT": "Motorola"},
}
"""Prefixes of codes that one maker alone uses. Others are shared (OPPO and OnePlus both use CPH)."""


@dataclass(frozen=True, slots=True)
class ParsedAgent:
    """What one user agent tells; None stands for what it does not tell."""

    family: str = ""
    """First part of the key. Only a missing user agent has none; rubbish has one, too."""
    software: str | None = None
    """Its own name for itself, if there is no better one."""
    browser: str | None = None
    system: str | None = None
    os: str | None = None
    hardware: str | None = None
    type: str | None = None
    model: str = ""
    """Third part of the key."""
    shown_model: str | None = None
    """An Android model as people read it: "Samsung SM-A546E", "Redmi Note 9"."""

    @property
    def proves_something(self) -> bool:
        return bool(self.browser or self.system or self.hardware)

    @property
    def key(self) -> str:
        parts = (self.family, self.system or "", self.model)
        return "|".join(part.replace("|", "/")[:80].strip() for part in parts) if self.family else ""


def as_line(text: str | None, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return *text* as one line: line ends become spaces, and whatever cannot be seen vanishes.

    Invisible are NUL, bidi overrides, and lone surrogates, for which the parser raises an error.
    """
    cut = (text or "")[:MAX_USER_AGENT_LENGTH]
    visible = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in cut)
    return " ".join(visible.split())[:limit].strip()


@lru_cache(maxsize=2048)
def parse(user_agent: str) -> ParsedAgent:
    text = as_line(user_agent, MAX_USER_AGENT_LENGTH)
    parsed = _PARSER(text, Domain.ALL)
    product, has_version = _product(text)
    browser = _browser(text, parsed.user_agent)
    is_browser = _BROWSER_AGENT.match(text) is not None
    speaker = browser or product if is_browser else product
    if _LIBRARY.fullmatch(speaker):
        return ParsedAgent(family=speaker, software=speaker)
    if parsed.device and parsed.device.family == "Spider":
        return _bot(browser)
    if is_browser or _SYSTEM_PART.match(text):
        return _located(text, parsed, family=speaker, browser=browser if is_browser else None)
    if has_version:
        return _app(text, parsed, product)
    return ParsedAgent(family=_VERSION.sub("", product) or "Unknown") if text else ParsedAgent()


def _product(text: str) -> tuple[str, bool]:
    """Return the first word of *text*, and whether a version follows it; CFNetwork writes a space as %20."""
    match = _PRODUCT.match(text)
    if match is None:
        return "Unknown", False
    product = as_line(unquote(match[1])) or "Unknown"
    return _NAMES.get(product, product), match[2] is not None


def _browser(text: str, parsed: UserAgent | None) -> str | None:
    family = re.sub(r"(?: Mobile| iOS)+$", "", parsed.family) if parsed else ""
    app = next((app for mark, app in _IN_APP.items() if mark in text), None)
    return app or as_line(_NAMES.get(family, family)) or None


def _bot(parsed: str | None) -> ParsedAgent:
    # The parser's general rules for bots catch what stands before the name, too.
    name = (parsed or "").lstrip(" -_;:!'()[]") or "Bot"
    return ParsedAgent(family=name, browser=name, type="bot")


def _app(text: str, parsed: PartialResult, product: str) -> ParsedAgent:
    """Return a product that is neither a browser nor a known library.

    It is an app if a phone's system or Apple's CFNetwork is named. Otherwise it may be any script: it keeps its name,
    but does not count as an app, or two scripts without a fingerprint would be one device.
    """
    app = _located(text, parsed, family=product, browser=product)
    is_app = app.system in PHONE_SYSTEMS or _APPLE_APP.search(text)
    return app if is_app else ParsedAgent(family=product, software=product)


def _located(text: str, parsed: PartialResult, *, family: str, browser: str | None) -> ParsedAgent:
    """Return a browser or an app, with the system and the hardware that it runs on."""
    system, shown = _system(text, parsed.os)
    match = _HARDWARE.search(text)
    hardware = (match[1] or "TV") if match else None
    kind = _HARDWARE_TYPES.get(hardware, "web") if hardware else _type(text, system)
    model = _MODELS[system].search(text) if system in _MODELS else None
    # Two reduced Androids in one home should not be one device if one of them is a tablet.
    key_model = model[1] if model else hardware or (kind if system == "Android" else None)
    return ParsedAgent(
        family=family,
        browser=browser,
        system=system,
        os=shown,
        hardware=hardware,
        type=kind,
        model=key_model or "",
        shown_model=_shown_model(model[1]) if model and system == "Android" else None,
    )


def _shown_model(model: str) -> str:
    """Return an Android model as people read it: a bare code gets its maker's name, or "Android", in front."""
    if not _MODEL_CODE.fullmatch(model):
        return model
    maker = next((maker for prefix, maker in _MAKERS.items() if model.startswith(prefix)), "Android")
    return f"{maker} {model}"


def _system(text: str, parsed: OS | None) -> tuple[str | None, str | None]:
    """Return the system's family, and how it is shown: only Windows sends a version that is true."""
    family = _SYSTEMS.get(parsed.family, parsed.family) if parsed else None
    if _MAC_APP.search(text):
        family = "macOS"
    elif _LINUX.search(text):
        family = "Linux"
    elif family == "macOS" and _NO_MAC.search(text):
        family = "iOS"
    elif parsed and family == "Windows" and parsed.major not in (None, "NT"):
        return family, f"Windows {parsed.major}{'.1' if (parsed.major, parsed.minor) == ('8', '1') else ''}"
    return family, family


def _type(text: str, system: str | None) -> str | None:
    """Return `mobile`, `tablet` or `web`; None if unknown, as for most apps."""
    if system == "Android" and _TABLET.search(text):
        return "tablet"
    if _MOBILE.search(text):
        return "mobile"
    if system == "Android" and "Safari/" in text:
        # Browsers leave the word Mobile out on a tablet; an agent that was cut may have lost it.
        return "tablet"
    return None if system in PHONE_SYSTEMS else "web"
