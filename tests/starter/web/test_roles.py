"""Claims about who may do what: every route is in the table, and every role is tried on every route."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from starter.console import live
from starter.contract.callers import GRANTED, OF_ALL_SITES, OF_KINDS, Caller, Permission, Role, roles_of
from starter.web.roles import PUBLIC, TABLE
from tests.support.away import AppOf
from workflows.domain.lifecycle import Kind

ELSEWHERE = {"/openapi.json", "/static"}
"""What is no route of ours: the document, for whoever is signed in, and files for anybody."""

CALLERS = {role.value: Caller(f"the-{role.value}", role, sources=("billing",)) for role in Role}
LIMITED = {f"{role.value} of a site": Caller("limited", role, ("york",), ("billing",)) for role in Role}
NAMES = [*CALLERS, *LIMITED]


@pytest.fixture(scope="module")
def away() -> AppOf:
    return AppOf(CALLERS | LIMITED)


def routes(away: AppOf) -> set[str]:
    """Every route of the app as the table names it."""
    found = set()
    for route in iter_route_contexts(away.app.routes):
        if isinstance(route.original_route, APIRoute):
            methods = (route.methods or set()) - {"HEAD"}
            found |= {f"{method} {route.path}" for method in methods if route.path not in PUBLIC}
        else:
            assert route.path in ELSEWHERE, f"{route.path} is a kind of route that nobody thought of here"
    return found


def test_every_route_says_what_it_takes(away: AppOf) -> None:
    assert routes(away) == {*TABLE}, "starter/web/roles.py has a row for each route, and no other"


def test_every_command_and_every_permission_is_somebodys() -> None:
    assert OF_KINDS.keys() == {*Kind}
    assert GRANTED.keys() == {*Permission}
    assert all(Role.ADMIN in roles for roles in GRANTED.values())


@pytest.mark.parametrize("name", NAMES)
async def test_each_role_gets_as_far_as_the_table_says_on_every_route(
    away: AppOf, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is behind this app: who may go on meets what is away, or a body that is missing, but never a 403."""
    monkeypatch.setattr(live, "SIGN_OF_LIFE", 0.01)
    caller = (CALLERS | LIMITED)[name]
    async with away.calling(name) as api:
        for route, permission in TABLE.items():
            method, path = route.split(" ", 1)
            path = path.replace("{verb}", "assign").replace("{action}", "skip")
            path = re.sub(r"\{[^}]*\}", "some", path)
            form = b"client=some" if method == "POST" and not path.startswith(("/api/", "/codec/")) else None
            answer = await api.request(method, path, headers={"Accept": "*/*"}, content=form)
            if caller.may(permission):
                assert answer.status_code not in (401, 403), (route, answer.text)
                continue
            assert answer.status_code == 403, (route, answer.text)
            problem = answer.json()
            assert (problem["title"], problem["status"]) == ("Not allowed", 403), route
            assert f"takes the role {roles_of(permission)}" in problem["detail"], (route, problem)
            assert caller.name in problem["detail"]
            assert caller.role.value in problem["detail"]


async def test_a_browser_is_shown_a_page_with_the_role_that_it_takes(away: AppOf) -> None:
    async with away.calling("viewer") as browser:
        page = await browser.get("/tokens")
    assert (page.status_code, "takes the role admin" in page.text) == (403, True)


async def test_a_route_that_is_in_no_table_answers_nobody(away: AppOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, "GET /api/v1/sites")
    async with away.calling() as api:
        assert (await api.get("/api/v1/sites")).status_code == 403


async def test_the_token_of_the_settings_needs_no_look_at_the_database(away: AppOf) -> None:
    away.database.queries.clear()
    async with away.calling() as api:
        assert (await api.get("/api/v1/clients/some")).status_code == 503
    assert not any("tokens" in query for query in away.database.queries)


def test_what_concerns_all_sites_takes_a_caller_of_all() -> None:
    limited = Caller("limited", Role.ADMIN, ("york",))
    assert {permission for permission in Permission if not limited.may(permission)} == OF_ALL_SITES


def test_the_documents_have_the_table_as_it_is() -> None:
    text = Path("docs/operating.md").read_text(encoding="utf-8")
    head = f"| to … | {' | '.join(f'`{role.value}`' for role in Role)} |"
    rows = [
        f"| {permission.value} | {' | '.join(_mark(permission, role) for role in Role)} |" for permission in Permission
    ]
    table = "\n".join([head, "| --- |" + " --- |" * len(Role), *rows])
    assert table in text, table


def _mark(permission: Permission, role: Role) -> str:
    if role not in GRANTED[permission]:
        return "no"
    if role is Role.SERVICE and permission is Permission.HOLD:
        return "its own"
    return "yes, of all sites" if permission in OF_ALL_SITES and role is not Role.ADMIN else "yes"
