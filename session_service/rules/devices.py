"""RULES: the device that a person recognises: what the user agent proves, then what a request body adds.

Not here: where either comes from, what is stored, and what makes two devices the same (`policy`).
No Flask, no database, no clock.
"""

import re
from dataclasses import dataclass, replace

from session_service.rules.user_agents import MAX_USER_AGENT_LENGTH, PHONE_SYSTEMS, ParsedAgent, as_line, parse

_TYPE_WORDS = {
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


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its user recognises it; every text is one line of at most 255 characters."""

    name: str
    """"Chrome on Windows 10", "Safari on iPhone"; never empty."""
    type: str
    """`web` (TVs and consoles too), `mobile`, `tablet`, `bot` or `unknown`."""
    browser: str
    """"Chrome", "Instagram", an app's or a library's own name; never empty."""
    os: str | None
    """"Windows 10", "macOS", "iOS" (iPads too), "Android", "Linux", "ChromeOS"; None where it is not told."""
    key: str
    """Browser family, system family, model, from the user agent alone and without versions; "" without one."""
    names_software: bool
    """Whether the user agent names a browser or an app, not an HTTP library, a bot or nothing."""


def parse_user_agent(user_agent: str | None) -> Device:
    """Return the device that *user_agent* tells of; there is an answer to any text."""
    return describe(user_agent)


def describe(
    user_agent: str | None,
    *,
    device_name: str | None = None,
    device_type: str | None = None,
    browser: str | None = None,
) -> Device:
    """Return the device of a request: what its header proves, then what its body claims.

    Args:
        user_agent: the header; it alone decides `key` and `names_software`, for a body can say anything.
        device_name: a user agent, whole or cut, is read like one and never shown; any other text is the name
            where the header proves nothing.
        device_type: one of the five or a common word for one ("desktop", "phone"); others are ignored.
        browser: shown where neither user agent names one.
    """
    header, claim = parse((user_agent or "")[:MAX_USER_AGENT_LENGTH]), _parse_claim(device_name)
    best = header if header.proves_something else claim
    program = best.browser or claim.browser or _words(browser)
    software = program or claim.software or header.software
    given_name = None if best.proves_something else _words(device_name)
    told_type = best.type or claim.type or _TYPES.get(as_line(device_type).lower())
    return Device(
        name=given_name or _name(program, best.hardware or best.os) or software or "Unknown device",
        type=told_type or ("mobile" if best.system in PHONE_SYSTEMS else "unknown"),
        browser=software or "Unknown",
        os=best.os,
        key=header.key,
        names_software=header.browser is not None and header.type != "bot",
    )


def _name(program: str | None, place: str | None) -> str | None:
    return as_line(f"{program} on {place}") if program and place else program or place


def _words(text: str | None) -> str | None:
    """Return what a body says in plain words; None for a user agent, and for "unknown" and its like."""
    line = as_line(text)
    return None if _NO_WORDS.fullmatch(line) or _BODY_AGENT.match(line) else line


def _parse_claim(device_name: str | None) -> ParsedAgent:
    """Return what a body's *device_name* tells if it is a user agent, which may have been cut anywhere."""
    line = as_line(device_name)
    if not _BODY_AGENT.match(line):
        return ParsedAgent()
    told = parse(_CUT_SAFARI.sub(r"\1Version/0 Safari/0", line))
    # Both are what remains where nothing better is found, and that may have been cut off.
    return replace(told, browser=None) if told.browser in ("App", "Android Browser") else told
