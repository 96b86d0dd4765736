"""Carries out a remedy as a person does: its command, typed as it stands."""

import shlex
import subprocess

from temporalio.client import Client

from tests.support.service import TEMPORAL


def carry_out(temporal: Client, command: str) -> None:
    """Run a command of Temporal's own command line. It must succeed."""
    program, *words = shlex.split(command)
    assert program == "temporal"
    argv = [str(TEMPORAL), *words, "--address", temporal.service_client.config.target_host]
    done = subprocess.run(argv, capture_output=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, done.stderr
