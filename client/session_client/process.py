"""What happens to clients when their process forks or ends."""

import atexit
import os
import weakref
from collections.abc import Callable

_after_fork: "weakref.WeakSet[Hook]" = weakref.WeakSet()
_at_exit: "weakref.WeakSet[Hook]" = weakref.WeakSet()


class Hook:
    """Something to do, for as long as its client lives: the client keeps the hook."""

    def __init__(self, work: Callable[[], None]) -> None:
        """Take a bound method of the client."""
        self._work: weakref.WeakMethod[Callable[[], None]] = weakref.WeakMethod(work)

    def run(self) -> None:
        """Do it, unless the client is gone."""
        work = self._work()
        if work is not None:
            work()


def after_fork(work: Callable[[], None]) -> Hook:
    """Call *work* in each child that is forked."""
    hook = Hook(work)
    _after_fork.add(hook)
    return hook


def at_exit(work: Callable[[], None]) -> Hook:
    """Call *work* before the interpreter ends: a thread could otherwise run into modules that are gone."""
    hook = Hook(work)
    _at_exit.add(hook)
    return hook


def _run(hooks: "weakref.WeakSet[Hook]") -> None:
    for hook in list(hooks):
        hook.run()


atexit.register(_run, _at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _run(_after_fork))
