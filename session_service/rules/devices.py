"""The device that a person recognises: what the headers prove, then what a request body adds.

`user_agents` reads the user agent; `policy` and `session_matching` decide what makes two devices the same.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from session_service.rules.user_agents import MAX_USER_AGENT_LENGTH, PHONE_SYSTEMS, ParsedAgent, as_line, parse

DeviceType = Literal["web", "mobile", "tablet", "bot", "unknown"]

_TYPE_WORDS: dict[DeviceType, str] = {
    "web": "web browser desktop pc computer laptop notebook windows mac macos linux chromeos",
    "mobile": "mobile phone smartphone cellphone handset android ios iphone ipod",
    "tablet": "tablet tab ipad",
    "bot": "bot robot crawler spider",
}
_TYPES = {word: kind for kind, words in _TYPE_WORDS.items() for word in words.split()}

_BODY_AGENT = re.compile(r"[A-Za-z][\w.%+-]*/v?\d|.*\b(?:Mozilla|AppleWebKit|CFNetwork|Alamofire|okhttp)/", re.I)
# The frontend sends 100 characters, which end in the middle of Apple's "Version/18.1 Mobile/15E148 Safari/604.1".
_CUT_SAFARI = re.compile(r"(Mac OS X.*like Gecko\) )V[a-z]*(?:/[\d.]*)?(?: M\w*(?:/\w*)?)?(?: S\w*(?:/[\d.]*)?)?$")
_NO_WORDS = re.compile(r"(?:unknown|undefined|null|none|n/a|other)?(?: ?(?:device|browser))?", re.I)


_PLATFORM_VERSION = re.compile(r'"?(\d{1,4})(?:\.\d{1,8}){0,3}"?')

WINDOWS_11 = 13
"""The first platform version of Windows 11."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its user recognises it; every text is one line of at most 255 characters."""

    name: str
    """"Chrome on Windows 10", "Safari on iPhone", "Chrome on Samsung SM-A546E"; never empty."""
    type: str
    """`web` (TVs and consoles too), `mobile`, `tablet`, `bot` or `unknown`."""
    browser: str
    """"Chrome", "Instagram", an app's or a library's own name; never empty."""
    os: str | None
    """"Windows 11", "macOS", "iOS" (iPads too), "Android", "Linux", "ChromeOS"; None if unknown."""
    key: str
    """Browser family, system family, model, from the user agent alone and without versions; "" without one."""
    names_software: bool
    """Whether the user agent names a browser or an app, not an HTTP library, a bot or nothing."""


def parse_user_agent(user_agent: str | None) -> Device:
    """Return the device of *user_agent*; any text has one."""
    return describe(user_agent)


@lru_cache(maxsize=2048)
def describe(
    user_agent: str | None,
    *,
    platform_version: str | None = None,
    device_name: str | None = None,
    device_type: str | None = None,
    browser: str | None = None,
) -> Device:
    """Return the device of a request: what its header proves, then what its body claims.

    Args:
        user_agent: the header; it alone decides `key` and `names_software`, because a body can claim anything.
        platform_version: the header `Sec-CH-UA-Platform-Version`; tells Windows 11 from Windows 10.
        device_name: a user agent, complete or cut, is parsed like one and never shown; any other text is the name if
            the header proves nothing.
        device_type: one of the five or a common word for one ("desktop", "phone"); others are ignored.
        browser: shown if neither user agent names one.
    """
    header, claim = parse((user_agent or "")[:MAX_USER_AGENT_LENGTH]), _parse_claim(device_name)
    best = header if header.proves_something else claim
    system = _windows_11(best.os, platform_version) if best is header else best.os
    program = best.browser or claim.browser or _words(browser)
    software = program or claim.software or header.software
    given_name = None if best.proves_something else _words(device_name)
    told_type = best.type or claim.type or _TYPES.get(as_line(device_type).lower())
    return Device(
        name=given_name or _name(program, best.hardware or best.shown_model or system) or software or "Unknown device",
        type=told_type or ("mobile" if best.system in PHONE_SYSTEMS else "unknown"),
        browser=software or "Unknown",
        os=system,
        key=header.key,
        names_software=header.browser is not None and header.type != "bot",
    )


def agent_in(device_name: str | None) -> str | None:
    """Return the user agent that a body's *device_name* is, perhaps without its end; None for any other text."""
    line = as_line(device_name)
    return _CUT_SAFARI.sub(r"\1Version/0 Safari/0", line) if _BODY_AGENT.match(line) else None


def _windows_11(system: str | None, platform_version: str | None) -> str | None:
    """Return "Windows 11" for a Windows 10 whose platform version is 13 or later, otherwise *system*.

    Windows 11 sends "NT 10.0" in its user agent, as Windows 10 does. The header is a structured string
    (`"15.0.0"`, UA Client Hints section 3.6); Microsoft documents 13 as the first version of Windows 11.
    """
    match = _PLATFORM_VERSION.fullmatch(platform_version or "")
    return "Windows 11" if system == "Windows 10" and match and int(match[1]) >= WINDOWS_11 else system


def _name(program: str | None, machine: str | None) -> str | None:
    return as_line(f"{program} on {machine}") if program and machine else program or machine


def _words(text: str | None) -> str | None:
    """Return the plain words of a body's field; None for a user agent, and for "unknown" and the like."""
    line = as_line(text)
    return None if _NO_WORDS.fullmatch(line) or _BODY_AGENT.match(line) else line


def _parse_claim(device_name: str | None) -> ParsedAgent:
    """Return a body's *device_name*, parsed, if it is a user agent; it may have been cut anywhere."""
    agent = agent_in(device_name)
    if agent is None:
        return ParsedAgent()
    parsed = parse(agent)
    # Both are fallbacks for agents without a better name, which may have been cut off.
    return replace(parsed, browser=None) if parsed.browser in ("App", "Android Browser") else parsed
