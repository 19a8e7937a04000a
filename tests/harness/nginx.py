"""A real nginx with the project's own configuration, or with one of its examples."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from string import Template

from tests.harness.paths import PROJECT
from tests.harness.processes import free_port, running
from tests.harness.reports import require_tool

NGINX = PROJECT / "deploy" / "nginx"
NGINX_FOR_TESTS = """\
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
"""
"""What a test's nginx has beside the project's own files: it writes into the test's folder alone."""


@contextmanager
def nginx(*services: str, access_log: Path | None = None) -> Iterator[str]:
    """Run the project's gateway in front of *services*, the URLs of one or more that share the requests."""
    program, listen = require_tool("nginx"), f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="session-service-nginx-") as name:
        folder = Path(name)
        lay_out_nginx(folder, listen, services, access_log or folder / "access.log")
        # As one process, and so as whoever runs the tests: a worker of root's nginx could not read the folder.
        process = f"daemon off; master_process off; pid {folder}/nginx.pid;"
        command = [program, "-e", "stderr", "-p", name, "-c", str(folder / "nginx.conf"), "-g", process]
        with running(command, ready=f"http://{listen}/"):
            yield f"http://{listen}"


def lay_out_nginx(folder: Path, listen: str, services: Sequence[str], access_log: Path) -> None:
    """Write the project's files for nginx into *folder*, filled in as the official image does it."""
    servers = " ".join(f"server {service.removeprefix('http://')} max_fails=0;" for service in services)
    values = {"GATEWAY_LISTEN": listen, "GATEWAY_SERVERS": servers, "GATEWAY_ACCESS_LOG": str(access_log)}
    template = Template((NGINX / "session-service.conf.template").read_text(encoding="utf-8"))
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "default.conf").write_text(template.safe_substitute(values), encoding="utf-8")
    (folder / "conf.d" / "tests.conf").write_text(NGINX_FOR_TESTS.format(folder=folder), encoding="utf-8")
    shutil.copy(NGINX / "nginx.conf", folder)


@contextmanager
def nginx_with(config: Path, **addresses: str) -> Iterator[str]:
    """Run nginx with a file for its `http` context; *addresses* stand in for its own (`p8080="host:port"`)."""
    program, listen = require_tool("nginx"), f"127.0.0.1:{free_port()}"
    text = config.read_text(encoding="utf-8")
    for port, address in {"p8088": listen, **addresses}.items():
        assert f"127.0.0.1:{port[1:]}" in text
        text = text.replace(f"127.0.0.1:{port[1:]}", address)
    with tempfile.TemporaryDirectory(prefix="session-service-nginx-") as folder:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        main = Path(folder, "nginx.conf")
        main.write_text(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off; {places}\n{text} }}",
            encoding="utf-8",
        )
        with running([program, "-e", "stderr", "-p", folder, "-c", str(main)], ready=f"http://{listen}/_session"):
            yield f"http://{listen}"
