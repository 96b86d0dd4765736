"""Why a client's workflow cannot run, and what a person can do: sentences, and commands that name workflow and run."""

import shlex
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from activities.watch.executions import Run, Task

WORKFLOW: Final = "workflow"
"""The name of this matter among those of a client, which has one of these kinds."""

FAILS, PAUSED, ENDED, MISSING = "workflow_fails", "workflow_paused", "workflow_ended", "workflow_missing"
UNKNOWN, STANDS_STILL = "workflow_unknown", "workflow_stands_still"


@dataclass(frozen=True)
class Remedy:
    """What a person can do, and the command that does it; empty where there is none."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Matter:
    """What keeps a client's workflow from running. ``since`` is None where nobody knows: it is found now."""

    client_id: str
    kind: str
    text: str
    remedies: tuple[Remedy, ...] = field(default=())
    since: datetime | None = None


def fails(client_id: str, run: Run) -> Matter:
    """Its workflow task fails, or takes too long, again and again."""
    causes = f" ({', '.join(run.problems)})" if run.problems else ""
    return Matter(
        client_id,
        FAILS,
        f"Its workflow cannot go on: its task fails again and again{causes}. Nothing is lost, but nothing planned "
        "happens and no command is carried out.",
        (
            Remedy(
                "See why. It goes on by itself once a worker runs code that can carry it out: deploy the mended code, "
                "or that of before",
                _workflow("show", run),
            ),
            Remedy(
                "If it met a fault of a worker that died (NonDeterministicError) and no code was changed, begin its "
                "last task anew, with the messages that it has not obeyed yet",
                _workflow("reset", run, "--type LastWorkflowTask --reason 'begun anew'"),
            ),
            Remedy(
                "If those messages stop it, go on without them. Send again what is still wanted",
                _workflow("reset", run, "--type LastWorkflowTask --reapply-exclude All --reason 'without the newest'"),
            ),
        ),
    )


def ended(client_id: str, last: Run, good: Run | None) -> Matter:
    """Its newest run has ended, though the client lives. ``good``: the newest run that was the client's own."""
    if good is None:
        return missing(client_id, last)
    lately = "" if last.run_id == good.run_id else f" After it, run {last.run_id} was started, which is not the client."
    return Matter(
        client_id,
        ENDED,
        f"The client lives, but its workflow was {good.status}. Its services stay as they are, nothing planned happens "
        f"and no command is carried out.{lately}",
        (
            Remedy(
                "Revive it where it stopped",
                _workflow("reset", good, "--type LastWorkflowTask --reason revived"),
            ),
        ),
        good.closed_at,
    )


def paused(client_id: str, run: Run) -> Matter:
    """Somebody has paused it in Temporal."""
    return Matter(
        client_id,
        PAUSED,
        "Its workflow is paused: nothing planned happens and no command is carried out.",
        (Remedy("Let it go on", _workflow("unpause", run)),),
    )


def missing(client_id: str, last: Run | None = None) -> Matter:
    """Temporal has no run of the client, or none that it could be revived from."""
    other = f" Run {last.run_id} has its id, but is not the client." if last else ""
    return Matter(
        client_id,
        MISSING,
        f"The client lives, but Temporal does not know its workflow: it was deleted, or Temporal lost it.{other} Its "
        "services stay as they are, nothing planned happens and no command is carried out.",
        (Remedy("Restore Temporal's database from a backup"),),
    )


def unknown(client_id: str, run: Run) -> Matter:
    """It runs, and the directory has no such client."""
    return Matter(
        client_id,
        UNKNOWN,
        "A workflow of this client runs, but the directory does not know the client: somebody started it past Connect, "
        "or it was just created and cannot be registered.",
        (
            Remedy("See what it is. A creation of Connect's is registered by itself", _workflow("describe", run)),
            Remedy(
                "If nobody knows it, end it",
                _workflow("terminate", run, "--reason 'not started by Connect'"),
            ),
        ),
        run.started_at,
    )


def stands_still(client_id: str, run: Run, due: datetime, task: Task | None) -> Matter:
    """A planned change was due, and the workflow does not move."""
    why = "has no task to do it"
    if task is not None:
        why = f"waits in its task's attempt {task.attempt}" if task.begun else "has a task that no worker takes"
    return Matter(
        client_id,
        STANDS_STILL,
        f"A planned change was due at {due:%Y-%m-%d %H:%M} UTC and has not happened: its workflow runs, but {why}.",
        (
            Remedy("Wake it", _workflow("signal", run, "--name roll")),
            Remedy(
                "If that does not help, begin its last task anew",
                _workflow("reset", run, "--type LastWorkflowTask --reason 'stands still'"),
            ),
        ),
        due,
    )


def _workflow(verb: str, run: Run, options: str = "") -> str:
    which = f"--workflow-id {shlex.quote(run.workflow_id)} --run-id {shlex.quote(run.run_id)}"
    return f"temporal workflow {verb} {which} {options}".strip()
