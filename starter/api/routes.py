"""Every route under ``/api/v1`` (PRODUCT.md section 7.2): parse, ask the service, render."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from starter.api import assistants, clients, commands, events, matters, sites, systems, tokens, webhooks
from starter.web.dependencies import API
from starter.web.strict import check_parameters

_BEARER = HTTPBearer(
    auto_error=False,
    description="The token of the settings (role admin), or an API token of `POST /api/v1/tokens`, with its own role "
    "and sites. What its role may not do is refused (403). Clients of other sites are to it as if there were none",
)

router = APIRouter(prefix=API, dependencies=[Depends(_BEARER), Depends(check_parameters)])
for routes in (sites, clients, commands, systems, matters, events, webhooks, tokens, assistants):
    router.include_router(routes.router)
