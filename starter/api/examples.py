"""Examples of the OpenAPI document. The tests hold them against the schemas, and send them."""

from typing import Any

RESIDENTIAL = {
    "client_id": "acme",
    "name": "Acme Ltd",
    "type": "residential",
    "site": "thames-house",
    "start_date": "2027-01-01",
    "lines": [{"number": "+442079460001", "office": "3.12"}],
    "internet": {"down_mbps": 100, "up_mbps": 20, "vlan": 110},
}
VIRTUAL = {"name": "Bolt & Co", "type": "virtual", "site": "thames-house", "lines": [{"number": "+442079460002"}]}


def _named(**values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"summary": name.replace("_", " ").capitalize(), "value": value} for name, value in values.items()}


NEW_CLIENTS = _named(residential=RESIDENTIAL, virtual=VIRTUAL)
PLANNABLE_COMMANDS = _named(
    now={"reason": "invoice 1042 unpaid", "source": "billing"},
    after_a_last_day={"reason": "moving out", "last_day": "2027-02-28"},
    at_an_instant={"reason": "moving out", "at": "2027-03-01T09:00:00+00:00"},
)
EDITS = _named(
    name={"name": "Acme Holdings Ltd"},
    end_date={"end_date": "2027-12-31"},
    generated_billing_ref={"billing_ref": None},
    activated_on_the_start_date={"activation": "automatic"},
)
CONVERSIONS = _named(
    to_virtual={"to": "virtual", "reason": "gives up the office"},
    to_residential={
        "to": "residential",
        "lines": [{"number": "+442079460002", "office": "3.14"}],
        "internet": {"down_mbps": 100, "up_mbps": 20},
    },
)
SERVICES = _named(
    add_a_line={"add_lines": [{"number": "+442079460003", "office": "3.12"}]},
    remove_a_line={"remove_lines": ["+442079460003"]},
    faster_internet={"internet": {"down_mbps": 500, "up_mbps": 100}},
    end_internet={"internet": "none", "last_day": "2027-02-28"},
)
RETRIES = _named(now={"reason": "the telephone system is back"})
SKIPS = _named(accept_for_now={"reason": "the line card is being replaced on Monday"})
MARKS = _named(done_by_hand={"note": "switched off at the exchange, ticket 4711"})

SITE = {
    "site_id": "thames-house",
    "name": "Thames House",
    "timezone": "Europe/London",
    "created_at": "2026-11-02T09:00:00Z",
}
CLIENT = {
    "client_id": "acme",
    "name": "Acme Ltd",
    "type": "residential",
    "site": "thames-house",
    "timezone": "Europe/London",
    "status": "suspended",
    "provisioning": "settled",
    "billing_ref": "C000001",
    "start_date": "2026-11-02",
    "end_date": None,
    "end_date_passed": False,
    "activation": "automatic",
    "management": False,
    "offices": ["3.12"],
    "office_label": "3.12",
    "lines": [{"number": "+442079460001", "office": "3.12", "protected": False}],
    "internet": {"account": "acme", "down_mbps": 100, "up_mbps": 20, "vlan": 110},
    "holds": [
        {"source": "billing", "reason": "invoice 1042 unpaid", "by": "billing", "placed_at": "2026-11-20T10:30:00Z"}
    ],
    "planned": [
        {
            "change_id": "7d9a1c",
            "kind": "decommission",
            "at": "2027-03-01T00:00:00Z",
            "local_time": "2027-03-01 00:00 Europe/London",
            "by": "api",
            "reason": "moving out",
            "details": {},
            "status_after": "decommissioned",
        }
    ],
    "systems": [
        {
            "system": system,
            "desired": {subject: "off"},
            "actual": {subject: "off"},
            "proven_at": "2026-11-20T10:30:01Z",
            "attempts": 0,
            "last_error": "",
            "next_attempt_at": None,
            "state": "settled",
            "attention_since": None,
            "method": method,
            "by": "",
            "note": "",
            "skipped": None,
            "second_look_at": "2026-11-20T10:31:01Z",
            "subjects": [
                {
                    "subject": subject,
                    "desired": "off",
                    "actual": "off",
                    "state": "proven",
                    "proven_at": "2026-11-20T10:30:01Z",
                    "protected": False,
                    "why": "",
                    "seen": seen,
                }
            ],
        }
        for system, subject, method, seen in (
            ("telephony", "+442079460001", "kamailio rows read back", {"registrations": "0"}),
            ("internet", "acme", "freeradius rows read back", {"sessions": "0"}),
        )
    ],
    "actions": [
        {
            "kind": "activate",
            "possible": False,
            "why": "A suspended client cannot be asked to activate. Unsuspend it instead.",
        },
        {"kind": "suspend", "possible": True, "why": ""},
        {"kind": "unsuspend", "possible": True, "why": ""},
        {"kind": "decommission", "possible": True, "why": ""},
        {"kind": "cancel_scheduled_decommission", "possible": True, "why": ""},
        {"kind": "cancel_planned", "possible": True, "why": ""},
        {"kind": "convert", "possible": True, "why": ""},
        {"kind": "change_services", "possible": True, "why": ""},
        {"kind": "edit", "possible": True, "why": ""},
        {"kind": "rotate_credentials", "possible": True, "why": ""},
    ],
    "revision": 7,
    "created_at": "2026-11-01T12:00:00Z",
    "decommissioned_at": None,
    "temporal_ui_url": "http://127.0.0.1:8233/namespaces/default/workflows/client-acme",
}
ENTRY = {
    "history_id": 42,
    "event": "decided",
    "at": "2026-11-20T10:30:00Z",
    "kind": "suspend",
    "text": "Suspended by billing",
    "by": "billing",
    "source": "billing",
    "reason": "invoice 1042 unpaid",
    "command_id": "5f0c2f5e",
    "revision": 7,
    "facts": {},
}
ATTENTION = {
    "client_id": "acme",
    "name": "Acme Ltd",
    "site": "thames-house",
    "system": "telephony",
    "state": "attention",
    "since": "2026-11-20T10:30:01Z",
    "attempts": 5,
    "last_error": "SystemUnavailable: Kamailio's database does not answer",
    "next_attempt_at": "2026-11-20T10:38:00Z",
    "skipped": None,
}
SYSTEM = {
    "system": "telephony",
    "state": "failing",
    "since": "2026-11-20T10:30:01Z",
    "last_error": "SystemUnavailable: Kamailio's database does not answer",
    "last_failure_at": "2026-11-20T10:34:00Z",
    "last_success_at": "2026-11-20T10:29:50Z",
    "workers": 2,
    "clients_in_attention": 3,
    "oldest_attention_at": "2026-11-20T10:30:01Z",
    "clients_changing": 14,
}
CREDENTIALS = {
    "sip": [
        {"number": "+442079460001", "username": "442079460001", "password": "mzxw6ytboi3dgnbvgy3tqojqmfrggzdf"},
    ],
    "radius": {"username": "acme", "password": "nbswy3dpeb3w64tmmqqho2dfojsxe5dp"},
    "servers": {"sip": "127.0.0.1:5060", "sip_domain": "connect.local", "radius": "127.0.0.1:1812"},
}
PREVIEW = {
    "changed": True,
    "message": "Planned: suspend at 2027-03-01 00:00 Europe/London",
    "at": "2027-03-01T00:00:00Z",
    "local_time": "2027-03-01 00:00 Europe/London",
    "status_before": "active",
    "status_after": "suspended",
    "effects": [
        {"kind": "hold", "subject": "billing", "before": "none", "after": "invoice 1042 unpaid"},
        {
            "kind": "line",
            "subject": "+442079460001",
            "before": "in service, office 3.12",
            "after": "ceased, office 3.12",
        },
        {"kind": "account", "subject": "acme", "before": "on, 100/20 Mbit/s, VLAN 110", "after": "off"},
    ],
    "goes": [],
    "comes": [
        {
            "change_id": "5f0c2f5e",
            "kind": "suspend",
            "at": "2027-03-01T00:00:00Z",
            "local_time": "2027-03-01 00:00 Europe/London",
            "reason": "invoice 1042 unpaid",
        }
    ],
    "goes_then": [],
    "refusal": None,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "Attention": ATTENTION,
    "SystemState": SYSTEM,
    "Credentials": CREDENTIALS,
    "Site": SITE,
    "ClientView": CLIENT,
    "CommandAnswer": {**CLIENT, "changed": True, "message": "Suspended by billing"},
    "HistoryEntry": ENTRY,
    "PreviewView": PREVIEW,
}
