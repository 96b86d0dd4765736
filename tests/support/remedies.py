"""Carries out a remedy as a person does: its command, typed as it stands."""

import shlex
import subprocess

from temporalio.client import Client

from tests.support.service import TEMPORAL
from tests.support.waiting import HANGING


def carry_out(temporal: Client, command: str) -> None:
    """Run a command of Temporal's own command line. It must succeed."""
    program, *words = shlex.split(command)
    assert program == "temporal"
    argv = [str(TEMPORAL), *words, "--address", temporal.service_client.config.target_host]
    result = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False, timeout=HANGING)
    assert result.returncode == 0, result.stderr
