"""Which process runs which file, when pytest-xdist runs several: files that need the same servers stay together."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

FIRST = ("browser", "systems", "faults", "starter", "workflows", "activities")  # folders, those that take longest first


class ByFolder(LoadFileScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Files of a folder go to the process that has its servers already. One without a folder begins one that nobody
    has; where there is none, it helps with the longest, and starts servers of its own."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        own = set(map(folder_of, self.assigned_work[node]))
        begun = {folder_of(file) for files in self.assigned_work.values() for file in files}

        def rank(file: str) -> tuple[bool, bool, int]:
            folder = folder_of(file)
            return folder not in own, folder in begun, FIRST.index(folder) if folder in FIRST else len(FIRST)

        self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
        super()._assign_work_unit(node)


def folder_of(file: str) -> str:
    """``browser`` of ``tests/browser/test_access.py``."""
    return PurePosixPath(file).parts[1]
