"""The targets of a run, and ratios that are shown without one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.results import Figure, Results

EARLIER_CREATE_US = 1_017
"""PostgreSQL's share of a `create` with eviction in the run of 2026-11-22; the target is half of it."""


@dataclass(frozen=True)
class Target:
    """A figure that must be at most or at least something; neither, if it is only shown."""

    words: str
    measured: Callable[[Results], Figure]
    most: float | None = None
    least: float | None = None
    aim: float | None = None
    """What would be better still."""
    digits: int = 2

    @property
    def asked(self) -> str:
        """The target in words."""
        if self.most is None and self.least is None:
            return ""
        words = f"at most {self.most:,.4g}" if self.most is not None else f"at least {self.least:,.4g}"
        return words if self.aim is None else f"{words}, aim {self.aim:g}"

    def met(self, results: Results) -> str:
        """Return "yes" or "no"; nothing without a target."""
        value = self.measured(results).median
        if self.most is None and self.least is None:
            return ""
        is_met = (self.most is None or value <= self.most) and (self.least is None or value >= self.least)
        return "yes" if is_met else "no"


def _ratio(dearer: str, cheaper: str) -> Callable[[Results], Figure]:
    return partial(Results.ratio, dearer=dearer, cheaper=cheaper)


TARGETS = (
    Target("`validate`, in bare Flask views", _ratio("validate", "bare"), most=1.9, aim=1.5),
    Target(
        "the alternative's 'current session', in `validate`s",
        _ratio("alternative-current", "validate"),
        least=11,
        aim=14,
    ),
    Target("`my-sessions`, in bare Flask views", _ratio("my-sessions", "bare"), most=3.5),
    Target("the alternative's list, in `my-sessions`", _ratio("alternative-my-sessions", "my-sessions"), least=7),
    Target("the alternative's sign-in, in `create`s", _ratio("alternative-create", "create"), least=4, aim=5),
    Target(
        f"PostgreSQL's share of a `create`, µs (half of {EARLIER_CREATE_US:,})",
        lambda results: results.of("create", lambda turn: turn.database_us),
        most=EARLIER_CREATE_US // 2,
        digits=0,
    ),
    Target(
        "`validate` on the large table, in those on the small one", _ratio("validate-large", "validate-small"), most=1.2
    ),
    Target(
        "`my-sessions` on the large table, in those on the small",
        _ratio("my-sessions-large", "my-sessions-small"),
        most=1.2,
    ),
    Target("memory of the service's two workers, MB", lambda results: results.megabytes("service"), most=125, digits=0),
    Target("a question to the idle feed, in `validate`s", _ratio("feed", "validate")),
    Target("the Node server's session, in `validate`s", _ratio("node-session", "validate")),
    Target("`validate`, in bare WSGI callables", _ratio("validate", "wsgi")),
    Target("the bare Flask view, in bare WSGI callables", _ratio("bare", "wsgi")),
)
