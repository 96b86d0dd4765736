"""The API tokens: those there are, a new one, whose secret is shown once, and revoking one."""

from fastapi import Request
from fastapi.responses import Response

from starter.console.forms.form import BoundForm
from starter.console.rendering import Form, caller_of, page, page_router, redirect
from starter.contract.callers import Role
from starter.contract.tokens import NewToken, TokenGiven
from starter.directory.webhooks import Webhooks
from starter.web.dependencies import Clients, callers_of, longest_token, tokens_of

PATH = "/tokens"
FIELDS = ("name", "role", "sources", "sites", "expires_at")

token_pages = page_router()


@token_pages.get(PATH)
async def show_tokens(request: Request, clients: Clients) -> Response:
    """Every token that is not revoked, with its last use, and the form for a new one."""
    return await _page(request, clients, BoundForm(Form({"role": Role.VIEWER})))


@token_pages.post(PATH)
async def create_token(request: Request, clients: Clients) -> Response:
    """The new token, shown by this answer alone; or the same form, with what keeps it from that."""
    bound = await BoundForm.read(request, FIELDS)
    form, errors = bound.form, bound.errors
    values = {
        "name": form.text("name"),
        "role": form.text("role"),
        "sources": [part.strip() for part in form.text("sources").split(",") if part.strip()],
        "sites": form.getlist("sites") or None,
        "expires_at": form.text("expires_at") or None,
    }
    body, created = errors.read(TokenGiven, values), None
    if body is not None and not errors.stopped:
        created = await bound.carry_out(tokens_of(request).create(body, caller_of(request), longest_token(request)))
    if created is not None:
        return await _page(request, clients, BoundForm(Form({"role": Role.VIEWER})), created)
    return await _page(request, clients, bound)


@token_pages.get(f"{PATH}/{{token_id}}/revoke")
async def ask_to_revoke(request: Request, clients: Clients, token_id: str) -> Response:
    """What becomes of it, and the button that does it."""
    token = await tokens_of(request).one(token_id)
    webhooks = [it for it in (await Webhooks(clients.directory.database).all()).items if it.created_by == token.name]
    return page(request, "revoke_token.html", token=token, webhooks=webhooks)


@token_pages.post(f"{PATH}/{{token_id}}/revoke")
async def revoke_token(request: Request, token_id: str) -> Response:
    """It is no longer valid."""
    token = await tokens_of(request).revoke(token_id, caller_of(request))
    callers_of(request).forget(token_id)
    return redirect(request, PATH, f"The token of {token.name} is revoked.")


async def _page(request: Request, clients: Clients, bound: BoundForm, created: NewToken | None = None) -> Response:
    tokens, sites = await tokens_of(request).every(), (await clients.directory.sites()).items
    return page(
        request,
        "tokens.html",
        bound.status,
        tokens=tokens.items,
        sites=sites,
        roles=tuple(Role),
        form=bound.form,
        errors=bound.errors,
        created=created,
    )
