"""The routes of webhooks."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response

from starter import webhooks as webhook_work
from starter.api import examples
from starter.api.commanding import Keyed
from starter.clients import ClientService
from starter.contract.webhooks import (
    DeliveryFilter,
    DeliveryPage,
    ReplayBody,
    WebhookEdit,
    WebhookGiven,
    WebhookPage,
    WebhookSecret,
    WebhookView,
)
from starter.directory.reads import DirectoryReads
from starter.directory.webhooks import Webhooks
from starter.errors import ShownOnce
from starter.web import problems
from starter.web.dependencies import Clients
from starter.web.strict import StrictRoute

WebhookId = Annotated[str, Path(max_length=100, description="The webhook's id", examples=["wh-5f0c2f5e9c1b4d7a"])]
FOUND = problems.answers(404, 422)

router = APIRouter(tags=["webhooks"], route_class=StrictRoute)


@router.get("/webhooks", summary="Every webhook", responses=problems.answers())
async def list_webhooks(clients: Clients) -> WebhookPage:
    """The oldest first."""
    return await _webhooks(clients).all()


@router.post("/webhooks", summary="Add a webhook", status_code=201, responses=problems.answers(409, 410, 422))
async def add_webhook(
    options: Keyed,
    response: Response,
    webhook: Annotated[WebhookGiven, Body(openapi_examples=examples.of_body(WebhookGiven))],
) -> WebhookSecret:
    """Events that its filter passes are sent to `url`, each client's in their order: a CloudEvent (JSON) by POST,
    signed as Standard Webhooks says. Whatever is not answered with 2xx is sent again, after pauses that grow up to an
    hour, for three days; then that client is given up, or, when nothing else was taken meanwhile, the webhook is
    disabled. An event may be sent twice: `webhook-id` says that it is the same. The answer has the secret, once."""

    async def add(directory: DirectoryReads) -> WebhookSecret:
        webhooks = Webhooks(directory.database)
        return await webhook_work.add_webhook(
            webhooks, options.clients.keyring, options.command_id, webhook, options.by
        )

    response.headers["Cache-Control"] = "no-store"
    return await options.once(webhook, WebhookSecret, add, _shown_once)


@router.get("/webhooks/{webhook_id}", summary="One webhook", responses=FOUND)
async def show_webhook(clients: Clients, webhook_id: WebhookId) -> WebhookView:
    return (await _webhooks(clients).one(webhook_id)).view


@router.patch("/webhooks/{webhook_id}", summary="Edit, pause or enable a webhook", responses=FOUND)
async def edit_webhook(options: Keyed, webhook_id: WebhookId, edit: WebhookEdit) -> WebhookView:
    """What is left out stays. One that is enabled again receives what it missed. That (`enabled`, also of one that is
    active), another `url` and another filter have all that waits for another attempt tried at once."""
    return await options.once(edit, WebhookView, lambda directory: Webhooks(directory.database).edit(webhook_id, edit))


@router.delete("/webhooks/{webhook_id}", summary="Remove a webhook", responses=FOUND)
async def remove_webhook(options: Keyed, webhook_id: WebhookId) -> WebhookView:
    """Nothing more is sent to it, and its deliveries are forgotten."""
    return await options.once(None, WebhookView, lambda directory: Webhooks(directory.database).remove(webhook_id))


@router.post(
    "/webhooks/{webhook_id}/rotate-secret",
    summary="Give a webhook another secret",
    responses=problems.answers(404, 409, 422),
)
async def rotate_secret(options: Keyed, response: Response, webhook_id: WebhookId) -> WebhookSecret:
    """Each that was replaced signs for a day more, too: the ten newest of them."""

    async def rotate(directory: DirectoryReads) -> WebhookSecret:
        return await webhook_work.rotate_secret(Webhooks(directory.database), options.clients.keyring, webhook_id)

    response.headers["Cache-Control"] = "no-store"
    return await options.once(None, WebhookSecret, rotate, _shown_once)


@router.get("/webhooks/{webhook_id}/deliveries", summary="How its deliveries went", responses=FOUND)
async def list_deliveries(
    clients: Clients, webhook_id: WebhookId, filters: Annotated[DeliveryFilter, Query()]
) -> DeliveryPage:
    """Every attempt, the newest first."""
    return await _webhooks(clients).deliveries(webhook_id, filters)


@router.post("/webhooks/{webhook_id}/replay", summary="Send events again", responses=problems.answers(404, 410, 422))
async def replay(
    options: Keyed,
    webhook_id: WebhookId,
    body: Annotated[ReplayBody, Body(openapi_examples=examples.of_body(ReplayBody))],
) -> WebhookView:
    """Every event after `after` that its filter passes, under the `webhook-id` it had before. To a webhook that is
    paused or disabled they are sent once it is enabled."""
    return await options.once(
        body, WebhookView, lambda directory: Webhooks(directory.database).replay(webhook_id, body.after)
    )


def _webhooks(clients: ClientService) -> Webhooks:
    return Webhooks(clients.directory.database)


def _shown_once(webhook: WebhookSecret) -> ShownOnce:
    return ShownOnce(
        f"This request has given webhook {webhook.webhook_id} a secret, which was shown then, once",
        "If the answer was lost, rotate the secret under a new key",
    )
