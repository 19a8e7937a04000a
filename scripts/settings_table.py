"""What `make docs` does: write the table of settings in `docs/settings.md` from `session_service/config.py`."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from session_service.config import Settings  # noqa: E402

DOCUMENT = ROOT / "docs" / "settings.md"
BEGIN, END = "<!-- made by `make docs` from session_service/config.py -->\n", "<!-- end of what is made -->\n"

NONE = "\N{EN DASH}"


def table() -> str:
    """Return the settings as a Markdown table: name, default as it would be typed, and the words under it."""
    meanings = dict(_meanings())
    lines = ["| name | default | meaning |", "|---|---|---|"]
    for setting in fields(Settings):
        default = NONE if setting.default is MISSING else _typed(setting.default)
        lines.append(f"| `{setting.name}` | {default} | {meanings[setting.name]} |")
    return "\n".join(lines) + "\n"


def _meanings() -> Iterator[tuple[str, str]]:
    """Yield each setting with the docstring under it."""
    source = (ROOT / "session_service" / "config.py").read_text()
    (body,) = [one.body for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == "Settings"]
    for setting, words in pairwise(body):
        if isinstance(setting, ast.AnnAssign) and isinstance(setting.target, ast.Name) and isinstance(words, ast.Expr):
            yield setting.target.id, " ".join(ast.literal_eval(words.value).split())


def _typed(value: object) -> str:
    if value is None or value == ():
        return NONE
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def with_table(document: str) -> str:
    """Return *document* with the table as it should be."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
