"""RULES: what a user agent tells, and no more than that. `devices` makes of it what people recognise.

User agents say less than they seem to, and so do we: Windows 11 calls itself 10, macOS is frozen at 10.15.7,
an iPad in desktop mode is letter for letter a Mac, Brave and today's Vivaldi are Chrome, and an app's CFNetwork
agent does not tell an iPhone from an iPad (nor from a Mac, on Apple silicon): "on iOS" has to do.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from ua_parser import OS, Domain, UserAgent
from ua_parser.loaders import load_lazy_builtins
from ua_parser.regex import Resolver

from session_service.rules.identifiers import MAX_TEXT_LENGTH

MAX_USER_AGENT_LENGTH = 512
"""Characters of a user agent that count: what comes behind them is not looked at."""

# Built when the module is loaded, which gunicorn.conf.py does before the fork: it takes about 250 ms. The Rust
# resolver by name, because ua_parser.parse() falls back in silence to Python's `re`, which a hostile agent can keep
# busy for long.
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
    # A page inside an app that does not give its name: "App on Android" is all that can be said.
    **dict.fromkeys(("Apple Mail", "Chrome Mobile WebView", "Electron", "Mobile Safari UI/WKWebView"), "App"),
}
"""Families and products as people call them; any other is kept, but for "Mobile" and "iOS" at its end."""

_IN_APP = {
    " HuaweiBrowser/": "Huawei Browser",
    "[LinkedInApp]": "LinkedIn",
    "Orca-Android": "Messenger",
    " Barcelona ": "Threads",
}
"""Marks of apps that the parser takes for a nameless one, or for another."""

# Asked before the parser, which sees a phone in HTTPie's agent and a crawler in Java's. It need not be complete:
# a library that is missing here shows its name all the same, and is believed to be an app only if it speaks of a phone.
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
# Parts of the system, which speak for an app and do not give its name.
_SYSTEM_PART = re.compile(r"CFNetwork/|(?:Mobile)?Safari/|com\.apple\.|AppleCoreMedia/|Dalvik/")

_LINUX = re.compile(r"X11;.*Linux")
_MAC_APP = re.compile(r"Darwin/[\d.]+ \((?:x86_64|i386)|\bmacOS \d")
# Chrome and Firefox on an iPad, and pages in its apps, say Macintosh first, and then what no Mac says.
_NO_MAC = re.compile(r"\b\w+iOS/|\bMobile/")
_HARDWARE = re.compile(
    r"(?<!like )\b(iPhone|iPad|iPod|PlayStation|Xbox|Nintendo|Quest)(?![A-Za-z/])"
    r"|(?:\b|Smart|Google|Hbb)TV\b|\bBRAVIA|\bCrKey/|\bAFT[A-Z]"
)
_TABLET = re.compile(r"\bTablet\b|\bKF[A-Z]{3,}|\bSM-[TX]\d|\bNexus (?:7|9|10)\b")
_MOBILE = re.compile(r"\b(?:Mobile|Opera Mini|Windows Phone)\b")
_MODELS = {
    "iOS": re.compile(r"\b((?:iPhone|iPad|iPod)\d+,\d+)"),
    # What follows Android's version and a locale. The parser's own model is the browser's name on Huawei phones
    # and nothing on Xiaomi's; K is Chrome's word for every model; a build or API number is a version, no model.
    "Android": re.compile(
        r"Android[ \d.]*; (?:HarmonyOS; |[a-z]{2}[-_][A-Za-z]{2}; )?(?!(?:K|Mobile|Tablet)[;)])"
        r"(?!(?i:build|version|sdk|api|v)?[ :]?[\d.]+ ?[;)])([^;)/]+?)(?: Build/[^;)]*)?[;)]"
    ),
}


@dataclass(frozen=True, slots=True)
class ParsedAgent:
    """What one user agent tells; None is what it does not tell."""

    family: str = ""
    """First part of the key. Rubbish has one too: only a missing user agent has none."""
    software: str | None = None
    """What it calls itself, for want of a better name."""
    browser: str | None = None
    system: str | None = None
    os: str | None = None
    hardware: str | None = None
    type: str | None = None
    model: str = ""

    @property
    def proves_something(self) -> bool:
        return bool(self.browser or self.system or self.hardware)

    @property
    def key(self) -> str:
        parts = (self.family, self.system or "", self.model)
        return "|".join(part.replace("|", "/")[:80].strip() for part in parts) if self.family else ""


def as_line(text: str | None, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return *text* as one line: line ends become spaces, and whatever cannot be seen vanishes.

    That is NUL, bidi overrides, and lone surrogates, for which the parser raises.
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
        return _placed(text, parsed.os, family=speaker, browser=browser if is_browser else None)
    if has_version:
        return _app(text, parsed.os, product)
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


def _app(text: str, parsed: OS | None, product: str) -> ParsedAgent:
    """Tell of a product that is neither a browser nor a known library.

    Where nothing speaks of a phone or of Apple's CFNetwork it may be anybody's script: it gets its name, but is not
    believed to be an app, or two such scripts without a fingerprint would be one device.
    """
    told = _placed(text, parsed, family=product, browser=product)
    is_app = told.system in PHONE_SYSTEMS or _APPLE_APP.search(text)
    return told if is_app else ParsedAgent(family=product, software=product)


def _placed(text: str, parsed: OS | None, *, family: str, browser: str | None) -> ParsedAgent:
    system, shown = _system(text, parsed)
    match = _HARDWARE.search(text)
    hardware = (match[1] or "TV") if match else None
    kind = _HARDWARE_TYPES.get(hardware, "web") if hardware else _type(text, system)
    model = _MODELS[system].search(text) if system in _MODELS else None
    # Two reduced Androids in one home should not be one device if one of them is a tablet.
    key_model = model[1] if model else hardware or (kind if system == "Android" else None)
    return ParsedAgent(family, None, browser, system, shown, hardware, kind, key_model or "")


def _system(text: str, parsed: OS | None) -> tuple[str | None, str | None]:
    """Return the system's family, and how it is shown: only Windows has a version to believe."""
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
    """Return phone, tablet or neither; None where that is not told, as by most apps."""
    if system == "Android" and _TABLET.search(text):
        return "tablet"
    if _MOBILE.search(text):
        return "mobile"
    if system == "Android" and "Safari/" in text:
        # Browsers leave the word Mobile out on a tablet; an agent that was cut may not have come to it.
        return "tablet"
    return None if system in PHONE_SYSTEMS else "web"
