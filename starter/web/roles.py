"""What each route, page and form takes. A route that is not in this table answers nobody, and a test names it.

``starter/contract/callers.py`` says which roles may do it; a form that sends one of several commands is held against
the command, too (``OF_KINDS``).
"""

from fastapi import Request

from starter.contract.callers import Permission
from starter.errors import NotAllowed
from starter.permitted import check_may
from starter.web.dependencies import API, caller_of
from starter.web.security import GUARDED

P = Permission

PUBLIC = frozenset({"/healthz", "/readyz", "/sign-in", "/sign-in/openid", "/sign-in/openid/callback", "/upcoming.ics"})
"""Served to anybody, or, as the calendar, to whoever has its address; they see to it themselves."""

TABLE: dict[str, Permission] = {
    # the API
    "GET /api/v1/sites": P.READ,
    "POST /api/v1/sites": P.ADD_SITE,
    "PATCH /api/v1/sites/{site_id}": P.EDIT_SITE,
    "GET /api/v1/sites/{site_id}/history": P.READ,
    "GET /api/v1/clients": P.READ,
    "POST /api/v1/clients": P.COMMAND,
    "GET /api/v1/clients/{client_id}": P.READ,
    "PATCH /api/v1/clients/{client_id}": P.COMMAND,
    "GET /api/v1/clients/{client_id}/history": P.READ,
    "GET /api/v1/clients/{client_id}/notes": P.READ,
    "POST /api/v1/clients/{client_id}/notes": P.COMMAND,
    "GET /api/v1/clients/{client_id}/credentials": P.CREDENTIALS,
    "POST /api/v1/clients/{client_id}/activate": P.COMMAND,
    "POST /api/v1/clients/{client_id}/suspend": P.HOLD,
    "POST /api/v1/clients/{client_id}/unsuspend": P.HOLD,
    "POST /api/v1/clients/{client_id}/decommission": P.COMMAND,
    "POST /api/v1/clients/{client_id}/cancel-scheduled-decommission": P.COMMAND,
    "POST /api/v1/clients/{client_id}/convert": P.COMMAND,
    "POST /api/v1/clients/{client_id}/services": P.COMMAND,
    "POST /api/v1/clients/{client_id}/rotate-credentials": P.COMMAND,
    "DELETE /api/v1/clients/{client_id}/planned/{change:path}": P.HOLD,
    "POST /api/v1/clients/{client_id}/systems/{system}/retry": P.COMMAND,
    "POST /api/v1/clients/{client_id}/systems/{system}/skip": P.COMMAND,
    "POST /api/v1/clients/{client_id}/systems/{system}/mark-done": P.COMMAND,
    "GET /api/v1/systems": P.READ,
    "GET /api/v1/attention": P.READ,
    "GET /api/v1/matters": P.READ,
    "POST /api/v1/clients/{client_id}/matters/{matter:path}/acknowledge": P.COMMAND,
    "POST /api/v1/clients/{client_id}/matters/{matter:path}/assign": P.COMMAND,
    "POST /api/v1/clients/{client_id}/matters/{matter:path}/snooze": P.COMMAND,
    "POST /api/v1/matters/{matter:path}/assign": P.INSTANCE_MATTERS,
    "POST /api/v1/matters/{matter:path}/snooze": P.INSTANCE_MATTERS,
    "GET /api/v1/events": P.READ,
    "POST /api/v1/clients/{client_id}/erase": P.ERASE,
    "GET /api/v1/webhooks": P.WEBHOOKS,
    "POST /api/v1/webhooks": P.WEBHOOKS,
    "GET /api/v1/webhooks/{webhook_id}": P.WEBHOOKS,
    "PATCH /api/v1/webhooks/{webhook_id}": P.WEBHOOKS,
    "DELETE /api/v1/webhooks/{webhook_id}": P.WEBHOOKS,
    "POST /api/v1/webhooks/{webhook_id}/rotate-secret": P.WEBHOOKS,
    "GET /api/v1/webhooks/{webhook_id}/deliveries": P.WEBHOOKS,
    "POST /api/v1/webhooks/{webhook_id}/replay": P.WEBHOOKS,
    "GET /api/v1/tokens": P.TOKENS,
    "POST /api/v1/tokens": P.TOKENS,
    "DELETE /api/v1/tokens/{token_id}": P.TOKENS,
    "POST /api/v1/mcp": P.READ,
    # Temporal's UI and program, the reference, and the session
    "POST /codec/decode": P.DECODE,
    "POST /codec/encode": P.DECODE,
    "GET /docs": P.READ,
    "GET /docs.css": P.READ,
    "POST /sign-out": P.SESSION,
    "POST /theme": P.SESSION,
    "GET /live": P.READ,
    # the console's pages
    "GET /": P.READ,
    "GET /clients": P.READ,
    "GET /clients.csv": P.READ,
    "GET /clients.xlsx": P.READ,
    "GET /clients/selected": P.READ,
    "GET /clients/selected/check": P.READ,
    "POST /clients/selected/check": P.HOLD,
    "POST /clients/selected": P.HOLD,
    "POST /clients/selected.csv": P.READ,
    "GET /clients/new": P.COMMAND,
    "POST /clients/new": P.COMMAND,
    "POST /clients/new/check": P.COMMAND,
    "GET /clients/{client_id}": P.READ,
    "GET /clients/{client_id}/history": P.READ,
    "GET /clients/{client_id}/lines": P.READ,
    "GET /clients/{client_id}/offices": P.READ,
    "GET /clients/{client_id}/systems/{system}": P.READ,
    "GET /clients/{client_id}/status": P.HOLD,
    "GET /clients/{client_id}/status/check": P.HOLD,
    "POST /clients/{client_id}/status/check": P.HOLD,
    "POST /clients/{client_id}/status": P.HOLD,
    "GET /clients/{client_id}/edit": P.COMMAND,
    "POST /clients/{client_id}/edit": P.COMMAND,
    "POST /clients/{client_id}/edit/check": P.COMMAND,
    "POST /clients/{client_id}/edit/services": P.COMMAND,
    "POST /clients/{client_id}/edit/services/check": P.COMMAND,
    "GET /clients/{client_id}/planned/{change:path}/cancel": P.HOLD,
    "POST /clients/{client_id}/planned/{change:path}/cancel": P.HOLD,
    "POST /clients/{client_id}/systems/{system}/retry": P.COMMAND,
    "POST /clients/{client_id}/systems/{system}/{action}": P.COMMAND,
    "POST /clients/{client_id}/notes": P.COMMAND,
    "POST /clients/{client_id}/tags": P.COMMAND,
    "GET /clients/{client_id}/credentials": P.CREDENTIALS,
    "POST /clients/{client_id}/credentials": P.CREDENTIALS,
    "GET /clients/{client_id}/erase": P.ERASE,
    "POST /clients/{client_id}/erase": P.ERASE,
    "GET /sites": P.READ,
    "GET /sites/new": P.ADD_SITE,
    "POST /sites/new": P.ADD_SITE,
    "GET /sites/{site_id}": P.EDIT_SITE,
    "POST /sites/{site_id}": P.EDIT_SITE,
    "GET /upcoming": P.READ,
    "GET /attention": P.READ,
    "GET /attention/retry": P.READ,
    "POST /attention/retry": P.COMMAND,
    "GET /matters": P.READ,
    "POST /matters/{verb}": P.COMMAND,
    "GET /tokens": P.TOKENS,
    "POST /tokens": P.TOKENS,
    "GET /tokens/{token_id}/revoke": P.TOKENS,
    "POST /tokens/{token_id}/revoke": P.TOKENS,
    "GET /webhooks": P.WEBHOOKS,
    "POST /webhooks": P.WEBHOOKS,
    "GET /webhooks/{webhook_id}": P.WEBHOOKS,
    "POST /webhooks/{webhook_id}/{action}": P.WEBHOOKS,
    "GET /webhooks/{webhook_id}/edit": P.WEBHOOKS,
    "POST /webhooks/{webhook_id}/edit": P.WEBHOOKS,
    "GET /webhooks/{webhook_id}/remove": P.WEBHOOKS,
    "POST /webhooks/{webhook_id}/remove": P.WEBHOOKS,
}


async def authorize(request: Request) -> None:
    """Raises NotAllowed unless the caller's role may use this route. Every route of the app depends on it."""
    path: str = request.scope["route"].path
    if path in PUBLIC:
        return
    inside = API if request.url.path.startswith(GUARDED) else ""  # the route does not know where it was included
    permission = TABLE.get(f"{'GET' if request.method == 'HEAD' else request.method} {inside}{path}")
    if permission is None:
        raise NotAllowed("Nothing was done: no role may do this yet.")
    check_may(caller_of(request), permission)
