"""The audit of the kill test finds what it is there to find."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.faults.audit import Account, Audit, Tables
from tests.faults.callers import CallersLog, Verdict
from tests.faults.workload import Request, records
from workflows.domain.lifecycle import Kind

NOW = datetime(2027, 1, 1, tzinfo=UTC).isoformat()
SUSPEND = Request("key-1", "tenant-0", Kind.SUSPEND.value, {"source": "caller-0", "reason": "command 1"})
DONE = {"event": "decided", "command_id": "key-1", "by": "api", "at": NOW}
ACCEPTED = Verdict(200, "Suspended by caller-0", True, "tenant-0")
REFUSED = Verdict(409, "Illegal transition: no")


def held(history: list[dict[str, Any]]) -> Account:
    """A client that is as it is after the suspension."""
    (record,) = records(1)
    view = {
        **{name: record[name] for name in ("client_id", "name", "type", "billing_ref")},
        "lines": [{**line, "office": None} for line in record["lines"]],
        "status": "suspended",
        "holds": [{"source": "caller-0", "reason": "command 1"}],
        "end_date": None,
        "secret_version": 1,
        "internet": None,
        "planned": [],
        "created_at": NOW,
    }
    return Account(view, history, {"sip": [], "servers": {"sip_domain": "sip.test"}, "radius": None})


@pytest.mark.parametrize(
    ("history", "verdicts", "found"),
    [
        ([DONE], [ACCEPTED, ACCEPTED], {}),
        ([], [ACCEPTED], {"lost": "was accepted, and is in no history"}),
        ([DONE, DONE], [ACCEPTED], {"doubled": "was done 2 times"}),
        ([DONE], [REFUSED], {"wrong": "was refused, and done all the same"}),
        ([DONE], [ACCEPTED, REFUSED], {"wrong": "was answered"}),
        ([], [REFUSED], {"wrong": "was refused without a reason"}),
        ([{**DONE, "by": "crm"}], [ACCEPTED], {"wrong": "who asked for"}),
        ([{**DONE, "command_id": "crm:key-1"}], [ACCEPTED], {"lost": "is in no history", "wrong": "tenant-0"}),
    ],
)
def test_what_was_lost_doubled_or_answered_wrongly_is_found(
    tmp_path: Path, history: list[dict[str, Any]], verdicts: list[Verdict], found: dict[str, str]
) -> None:
    log = CallersLog(tmp_path / "callers.jsonl")
    for verdict in verdicts:
        log.verdict(SUSPEND, verdict)
    audit = Audit(log, [held(history)], records(1), Tables(set(), {}, {}))
    for kind in ("lost", "doubled", "wrong"):
        sentences = " ".join(getattr(audit, kind))
        assert found.get(kind, "") in sentences
        assert found or not sentences


def test_a_line_that_is_still_served_is_found(tmp_path: Path) -> None:
    log = CallersLog(tmp_path / "callers.jsonl")
    log.verdict(SUSPEND, ACCEPTED)
    served = Tables({"442079469000"}, {}, {})
    audit = Audit(log, [held([DONE])], records(1), served)
    assert audit.faults == ["lines in service: it is {'442079469000'}, and should be set()"]


@pytest.mark.parametrize("wrong", [ACCEPTED, REFUSED, Verdict(422, "Malformed request: no")])
def test_another_request_that_was_not_refused_under_a_key_is_found(tmp_path: Path, wrong: Verdict) -> None:
    log = CallersLog(tmp_path / "callers.jsonl")
    log.verdict(SUSPEND, ACCEPTED)
    for verdict, faults in ((Verdict(422, "Command id reused: no"), 0), (wrong, 1)):
        log.otherwise[SUSPEND] = verdict
        assert len(Audit(log, [held([DONE])], records(1), Tables(set(), {}, {})).wrong) == faults
