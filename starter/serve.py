"""One API process: settings -> directory, Temporal client -> app -> uvicorn. It starts also while those are away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from activities.background import background
from activities.database import Database
from activities.instances import Instances
from activities.keys.client_keys import KeysAway
from activities.keys.encryption import Encryption
from activities.settings import Settings
from starter.app import create_app
from starter.clients import ClientService
from starter.contract.catalogue import Catalogue
from starter.credentials import Keyring
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.erasing import Eraser
from starter.errors import DirectoryAway
from starter.temporal.connection import connect, introduce
from starter.temporal.gateway import Gateway
from starter.web.admission import AdmissionLimits
from starter.web.descriptors import raise_limit
from starter.web.http_server import HttpLimits, Server, run
from starter.web.names import Names
from starter.web.openid import OpenId

log = structlog.get_logger(__name__)

PAUSE = 2.0
GRACE = 15  # seconds for requests under way to end: longer than a command may take


def main(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. Requests in progress are answered first."""
    uvloop.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Serve the API and the console by these settings until SIGINT or SIGTERM."""
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
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )
    return Server(config, app.state.clients.watch, limits)


async def make_app(settings: Settings) -> FastAPI:
    """The app with its dependencies, which it opens and closes."""
    dsn = settings.directory_dsn.get_secret_value()
    database = Database("directory", dsn, settings)
    encryption = Encryption.of(settings, database)
    temporal = await connect(encryption.converter())
    watch = Watch(dsn)
    gateway = Gateway(temporal, settings.temporal_ui_url, encryption=encryption)
    instances, directory = Instances.of(settings), DirectoryReads(database)
    for problem in instances.problems:
        log.warning("systems_file_wrong", problem=problem)
    catalogue = Catalogue.of(instances)
    clients = ClientService(gateway, directory, watch, settings.limits, Keyring.of(settings), catalogue)
    openid = OpenId(settings) if settings.oidc_issuer else None
    eraser = Eraser(clients, timedelta(days=settings.erase_after_days))

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with (
            database,
            encryption,
            background(
                watch.run,
                partial(introduce, temporal),
                partial(check_sites, directory, catalogue),
                partial(check_keys, encryption),
                eraser.keep_agreeing,
                *([openid.provider.keep_looking] if openid else []),
            ),
        ):
            yield

    limits = AdmissionLimits(settings.api_requests, settings.api_waiting, settings.api_per_second)
    return create_app(clients, settings.read_token(), living, Names.of(settings), limits, eraser, openid)


async def check_keys(encryption: Encryption) -> None:
    """Say what is wrong with the keys that clients are encrypted with, until every client can be read."""
    while True:
        try:
            problems = await encryption.check()
        except KeysAway as away:
            log.warning("encryption", problem=str(away))
            await asyncio.sleep(PAUSE)
            continue
        for problem in problems:
            log.warning("encryption", problem=problem)
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
