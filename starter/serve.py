"""One API process: settings -> directory, Temporal client -> app -> uvicorn. It starts also while those are away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.service import RPCError

from activities.background import background
from activities.database import Database
from activities.instances import Instances
from activities.settings import Settings
from starter.app import create_app
from starter.clients import ClientService
from starter.contract.catalogue import Catalogue
from starter.credentials import Keyring
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.errors import DirectoryAway
from starter.temporal.connection import SearchAttributesMissing, connect, ensure_search_attributes
from starter.temporal.gateway import Gateway
from starter.web.descriptors import raise_limit
from starter.web.http_server import HttpLimits, Server, run
from starter.web.names import Names

log = structlog.get_logger(__name__)

PAUSE = 2.0
GRACE = 15  # seconds for requests under way to end: longer than a command may take


def main(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Requests in progress are answered first."""
    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Serve until the server is stopped."""
    raise_limit()
    await run(server_of(settings, await make_app(settings)))


def server_of(settings: Settings, app: FastAPI) -> Server:
    """The server of an app. Only the proxies in the settings may name the caller and the scheme."""
    limits = HttpLimits(
        settings.http_connections,
        settings.http_header_seconds,
        settings.http_body_seconds,
        settings.http_reader_seconds,
    )
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies or None,
        timeout_graceful_shutdown=GRACE,
    )
    return Server(config, app.state.clients.watch, limits)


async def make_app(settings: Settings) -> FastAPI:
    """The app with its dependencies, which it opens and closes."""
    dsn = settings.directory_dsn.get_secret_value()
    temporal = await connect()
    database = Database("directory", dsn, settings)
    watch = Watch(dsn)
    gateway = Gateway(temporal, settings.temporal_ui_url)
    instances, directory = Instances.of(settings), DirectoryReads(database)
    for problem in instances.problems:
        log.warning("systems_file_wrong", problem=problem)
    catalogue = Catalogue.of(instances)
    clients = ClientService(gateway, directory, watch, settings.limits, Keyring.of(settings), catalogue)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with (
            database,
            background(watch.run, partial(introduce, temporal), partial(check_sites, directory, catalogue)),
        ):
            yield

    return create_app(clients, settings.read_token(), living, Names.of(settings))


async def introduce(temporal: Client) -> None:
    """Add our search attributes to Temporal as soon as it answers."""
    while True:
        try:
            await ensure_search_attributes(temporal)
        except SearchAttributesMissing as missing:
            log.warning("search_attributes_not_checked", remedy=str(missing))
        except (RuntimeError, RPCError) as error:
            log.info("temporal_not_there_yet", error=str(error).partition(": tonic")[0])
            await asyncio.sleep(PAUSE)
            continue
        return


async def check_sites(directory: DirectoryReads, catalogue: Catalogue) -> None:
    """Warn of each instance that a site names and the settings do not, as soon as the directory answers."""
    while True:
        try:
            sites = (await directory.sites()).items
        except DirectoryAway as away:
            log.info("sites_not_checked_yet", error=str(away))
            await asyncio.sleep(PAUSE)
            continue
        for site in sites:
            for kind, instance in catalogue.unknown(site.systems):
                remedy = (
                    f"Name [{kind}.{instance}] in CONNECT_SYSTEMS_FILE, or give the site another: connect site edit"
                )
                log.warning(
                    "site_names_unknown_instance", site=site.site_id, kind=kind, instance=instance, remedy=remedy
                )
        return
