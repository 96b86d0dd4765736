"""What keeps the workflow of one client from running, found by asking about this client alone."""

from collections.abc import Sequence

from activities.watch import matters
from activities.watch.executions import Executions, Run
from activities.watch.matters import Matter
from workflows.wire.start import workflow_id


async def diagnosis(executions: Executions, client_id: str, incarnation: str) -> Matter | None:
    """Why the workflow of a living client cannot run; None: nothing is seen to be wrong.

    ``incarnation`` is the first run of the client, as the directory has it. Raises RPCError when Temporal does not
    answer.
    """
    newest = await executions.describe(workflow_id(client_id))
    if newest is None:
        return matters.missing(client_id)
    run = newest.run
    if newest.first_run_id != incarnation or not run.open:
        return await of_ended(executions, client_id, incarnation, await runs_behind(executions, run))
    if run.status == "paused":
        return matters.paused(client_id, run)
    if run.problems or (newest.task and newest.task.attempt > 1):
        return matters.fails(client_id, run)
    return None


async def of_ended(executions: Executions, client_id: str, incarnation: str, runs: Sequence[Run]) -> Matter:
    """Why a living client has no run. ``runs``: what Temporal knows of its workflow, the newest first."""
    if not runs:
        return matters.missing(client_id)
    if runs[0].status == "paused":
        return matters.paused(client_id, runs[0])
    return matters.ended(client_id, runs[0], await executions.own(runs, incarnation))


async def runs_behind(executions: Executions, newest: Run) -> list[Run]:
    """All runs of a workflow, also when the list does not show the newest one yet."""
    listed = (await executions.runs_of([newest.workflow_id])).get(newest.workflow_id, [])
    return [newest, *(run for run in listed if run.run_id != newest.run_id)]
