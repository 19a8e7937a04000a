"""Which column of a source is which of ours."""

from collections.abc import Collection, Iterable, Mapping

REQUIRED = ("id", "user_id", "created_at")
OPTIONAL = (
    "last_activity",
    "expires_at",
    "is_active",
    "ended_at",
    "end_reason",
    "device_fingerprint",
    "device_name",
    "device_type",
    "browser",
    "user_agent",
    "ip_address",
    "sid",
    "jti",
    "token_expires_at",
)
COLUMNS = (*REQUIRED, *OPTIONAL)
"""The columns that an import reads. A source's column of the same name is read without being mapped."""


class MappingProblem(ValueError):
    """The columns cannot be mapped like this."""


class Columns:
    """Where each of our columns comes from."""

    def __init__(self, pairs: Iterable[str] = ()) -> None:
        """Read *pairs*: `old=new` reads the source's column *old* as our *new*; `old=` does not read *old* at all.

        Raises:
            MappingProblem: a pair has no `=`, names no column of ours, or one that another pair names.
        """
        self._source_of = {name: name for name in COLUMNS}
        self._mapped: dict[str, str] = {}
        for pair in pairs:
            old, separator, new = (part.strip() for part in pair.partition("="))
            if not separator or not old:
                raise MappingProblem(f"{pair!r} is not old=new")
            if new and new not in COLUMNS:
                raise MappingProblem(f"{new!r} is none of {', '.join(COLUMNS)}")
            if new and new in self._mapped:
                raise MappingProblem(f"{new!r} is mapped twice")
            if new:
                self._mapped[new] = old
            else:
                self._source_of.pop(old, None)
        self._source_of |= self._mapped

    def problem_of(self, names: Collection[str]) -> str | None:
        """Return why a source with the columns *names* cannot be imported; None if it can."""
        if len(set(names)) < len(names):
            return "it has two columns of one name"
        for new in (*REQUIRED, *self._mapped):
            old = self._source_of.get(new)
            if old not in names:
                return f"it has no column {old or new!r}; its columns are {', '.join(map(repr, names))}"
        return None

    def read_of(self, names: Collection[str]) -> list[str]:
        """Return those of the columns *names* that are read."""
        wanted = set(self._source_of.values())
        return [name for name in names if name in wanted]

    def pick(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return the values of a source's *row* by our columns; those that are missing or null are left out."""
        return {new: row[old] for new, old in self._source_of.items() if row.get(old) is not None}
