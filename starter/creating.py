"""A client about to be created: its first state, from what was asked for."""

import hashlib
from datetime import UTC, datetime

from pydantic import BaseModel

from starter.contract.answers import Site, SitePage
from starter.contract.bodies import ClientGiven
from starter.contract.catalogue import Catalogue
from workflows.domain.client.client import Client
from workflows.domain.client.labels import new_labels
from workflows.domain.dates import NamedDay, local_day, resolve
from workflows.domain.errors import InvalidField
from workflows.domain.services import Services


def client_of(new: ClientGiven, client_id: str, site: Site, catalogue: Catalogue) -> Client:
    """The client that was asked for, as it is when it begins. Raises InvalidField."""
    now = datetime.now(UTC)
    tags, external_ids = new_labels(new.tags, new.external_ids)
    return Client(
        client_id=client_id,
        name=new.name,
        site=site.site_id,
        timezone=site.timezone,
        services=Services(
            new.type,
            tuple(line.line() for line in new.lines),
            new.internet.internet() if new.internet else None,
            tuple(new.offices),
            tuple(it.service() for it in catalogue.services(new.services, "services")),
        ),
        start_date=resolve(NamedDay(new.start_date or local_day(now, site.timezone)), site.timezone),
        created_at=now,
        billing_ref=new.billing_ref or "",
        end_date=new.end_date,
        activation=new.activation,
        management=new.management,
        instances=dict(site.systems),  # as long as the directory, which registers the client, says nothing else
        external_ids=external_ids,
        tags=tags,
    )


def no_such_site(site: Site | None, site_id: str, sites: SitePage) -> InvalidField:
    """Why a client cannot be at a site, and where it could be."""
    why = f"Site {site_id} is retired: it takes no new client" if site else f"There is no site {site_id!r}"
    known = ", ".join(site.site_id for site in sites.items if not site.retired)
    return InvalidField(why, f"Give one of: {known}" if known else "Add it first: connect site add", field="site")


def digest_of(request: BaseModel) -> str:
    """A short digest of the whole request. It is that of every version: what a later one added is said where it is
    given."""
    added = {name for name in ("external_ids", "tags") if not getattr(request, name, None)}
    return hashlib.sha256(request.model_dump_json(exclude=added).encode()).hexdigest()[:16]
