"""The webhooks: those there are, a new one, and each with how its deliveries went and what can be done about it."""

from typing import Any, Literal, get_args

from fastapi import Request
from fastapi.responses import Response

from activities.directory.events import EventKind
from starter import webhooks as webhook_work
from starter.clients import ClientService
from starter.console.forms.form import BoundForm
from starter.console.rendering import Form, caller_of, page, page_router, redirect
from starter.contract.webhooks import (
    DeliveryFilter,
    ReplayBody,
    WebhookEdit,
    WebhookGiven,
    WebhookSecret,
    WebhookView,
)
from starter.directory.webhooks import Webhooks
from starter.web.dependencies import Clients

PATH = "/webhooks"
PAGE = 50  # deliveries
LONGEST_NUMBER = 16  # digits
FIELDS = ("url", "description", "kinds", "sites", "clients")
LOOKS = {"active": "active", "paused": "suspended", "disabled": "attention"}
"""The colour of a state."""

DONE = {
    "pause": "Nothing is sent until it is enabled again.",
    "enable": "It is enabled, and what waits for it is sent at once.",
    "replay": "Those events are sent again.",
}
LATER = {"replay": "Those events are sent again once it is enabled."}
"""What is true instead of a webhook that is not active."""

webhook_pages = page_router()


@webhook_pages.get(PATH)
async def show_webhooks(request: Request, clients: Clients) -> Response:
    """Every webhook and how it does, and the form for a new one."""
    return await _list(request, clients, BoundForm(Form({})))


@webhook_pages.post(PATH)
async def add_webhook(request: Request, clients: Clients) -> Response:
    """The new webhook with its secret, shown by this answer alone; or the same form, with what keeps it from that."""
    bound = await BoundForm.read(request, FIELDS)
    added, body = None, bound.errors.read(WebhookGiven, _values(bound.form))
    if body is not None and not bound.errors.stopped:
        work = webhook_work.add_webhook(_of(clients), clients.keyring, bound.command_id, body, caller_of(request))
        added = await bound.carry_out(work)
    if added is not None:
        return await _one(request, clients, added.webhook_id, secret=added)
    return await _list(request, clients, bound)


@webhook_pages.get(f"{PATH}/{{webhook_id}}")
async def show_webhook(request: Request, clients: Clients, webhook_id: str) -> Response:
    """How it is, what it was sent, and what can be done about it."""
    return await _one(request, clients, webhook_id)


@webhook_pages.get(f"{PATH}/{{webhook_id}}/edit")
async def show_edit(request: Request, clients: Clients, webhook_id: str) -> Response:
    """Where it leads and what it receives, to be changed."""
    view = (await _of(clients).one(webhook_id)).view
    clients_typed = ", ".join(view.clients)
    lists = [("kinds", kind) for kind in view.kinds] + [("sites", site) for site in view.sites]
    form = Form.of([("url", view.url), ("description", view.description), ("clients", clients_typed), *lists])
    return await _edit(request, clients, view, BoundForm(form.opened(_texts(form))))


@webhook_pages.post(f"{PATH}/{{webhook_id}}/edit")
async def edit_webhook(request: Request, clients: Clients, webhook_id: str) -> Response:
    """What the form changes is changed, and nothing that it shows as it was; or what keeps it from that."""
    bound, webhooks, changed = await BoundForm.read(request, FIELDS), _of(clients), None
    body = bound.errors.read(WebhookGiven, _values(bound.form))
    if body is not None and not bound.errors.stopped:
        fields = {name for name, text in _texts(bound.form).items() if text != bound.form.was(name)}
        changed = await bound.carry_out(webhooks.edit(webhook_id, WebhookEdit(**body.model_dump(include=fields))))
    if changed is not None:
        return redirect(request, f"{PATH}/{webhook_id}", "The webhook is saved.")
    return await _edit(request, clients, (await webhooks.one(webhook_id)).view, bound)


@webhook_pages.get(f"{PATH}/{{webhook_id}}/remove")
async def ask_to_remove(request: Request, clients: Clients, webhook_id: str) -> Response:
    """What becomes of it, and the button that does it."""
    return page(request, "remove_webhook.html", webhook=(await _of(clients).one(webhook_id)).view)


@webhook_pages.post(f"{PATH}/{{webhook_id}}/remove")
async def remove_webhook(request: Request, clients: Clients, webhook_id: str) -> Response:
    """Nothing more is sent to it."""
    removed = await _of(clients).remove(webhook_id)
    return redirect(request, PATH, f"The webhook to {removed.url} is removed.")


@webhook_pages.post(f"{PATH}/{{webhook_id}}/{{action}}")
async def change_webhook(
    request: Request, clients: Clients, webhook_id: str, action: Literal["pause", "enable", "replay", "rotate"]
) -> Response:
    """Pause or enable it, have events sent again, or give it another secret, which is shown by this answer alone."""
    bound, webhooks, changed = await BoundForm.read(request, ("after",)), _of(clients), None
    match action:
        case "pause" | "enable":
            changed = await bound.carry_out(webhooks.edit(webhook_id, WebhookEdit(enabled=action == "enable")))
        case "replay":
            body = bound.errors.read(ReplayBody, {"after": _number(bound.form.text("after"))})
            if body is not None and not bound.errors.stopped:
                changed = await bound.carry_out(webhooks.replay(webhook_id, body.after))
        case "rotate":
            version = _number(bound.form.text("version"))
            known = version if isinstance(version, int) else 0
            work = webhook_work.rotate_secret(webhooks, clients.keyring, webhook_id, known)
            if (rotated := await bound.carry_out(work)) is not None:
                return await _one(request, clients, webhook_id, secret=rotated)
    if changed is not None:
        notices = DONE if changed.state == "active" else DONE | LATER
        return redirect(request, f"{PATH}/{webhook_id}", notices[action])
    return await _one(request, clients, webhook_id, bound)


async def _list(request: Request, clients: ClientService, bound: BoundForm) -> Response:
    webhooks, places = await _of(clients).all(), await _places(clients)
    return page(request, "webhooks.html", bound.status, webhooks=webhooks.items, places=places, **_form(bound))


async def _edit(request: Request, clients: ClientService, webhook: WebhookView, bound: BoundForm) -> Response:
    places = {site: site for site in webhook.sites} | await _places(clients)
    return page(request, "edit_webhook.html", bound.status, webhook=webhook, places=places, **_form(bound))


async def _one(
    request: Request,
    clients: ClientService,
    webhook_id: str,
    bound: BoundForm | None = None,
    secret: WebhookSecret | None = None,
) -> Response:
    webhooks, bound = _of(clients), bound or BoundForm(Form({}))
    cursor = request.query_params.get("cursor") if request.method == "GET" else None
    found = await webhooks.one(webhook_id)
    deliveries = await webhooks.deliveries(webhook_id, DeliveryFilter(limit=PAGE, cursor=cursor))
    return page(
        request,
        "webhook.html",
        bound.status,
        webhook=found.view,
        version=found.version,
        deliveries=deliveries,
        cursor=cursor,
        secret=secret.secret if secret else "",
        **_form(bound),
    )


async def _places(clients: ClientService) -> dict[str, str]:
    """The names of all sites, by id."""
    return {site.site_id: site.name for site in (await clients.directory.sites()).items}


def _values(form: Form) -> dict[str, Any]:
    """A webhook, as its fields say it."""
    return {
        "url": form.text("url"),
        "description": form.text("description"),
        "kinds": form.getlist("kinds"),
        "sites": form.getlist("sites"),
        "clients": [part.strip() for part in form.text("clients").split(",") if part.strip()],
    }


def _texts(form: Form) -> dict[str, str]:
    """Each of its fields as one text."""
    return {name: ", ".join(sorted(form.getlist(name))) for name in FIELDS}


def _form(bound: BoundForm) -> dict[str, Any]:
    return {
        "form": bound.form,
        "errors": bound.errors,
        "command_id": bound.command_id,
        "kinds": get_args(EventKind),
        "looks": LOOKS,
    }


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < LONGEST_NUMBER else text


def _of(clients: ClientService) -> Webhooks:
    return Webhooks(clients.directory.database)
