"""Every route under ``/api/v1`` (PRODUCT.md section 7.2): parse, ask the service, render."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer

from starter.api import clients, commands, matters, sites, systems
from starter.web.dependencies import API

router = APIRouter(prefix=API, dependencies=[Depends(HTTPBearer(auto_error=False))])
for routes in (sites, clients, commands, systems, matters):
    router.include_router(routes.router)
