"""The sites: all of them, a new one, and one to edit, with what was changed of it."""

import re

import phonenumbers
from fastapi import Request
from fastapi.responses import Response

from starter.clients import ClientService
from starter.console.forms.form import BoundForm
from starter.console.rendering import Form, caller_of, page, page_router, redirect
from starter.contract.answers import Site
from starter.contract.bodies import NO_PLACES, SiteEdit, SiteGiven
from starter.errors import NoSuchSite
from starter.web.dependencies import Clients
from workflows.domain.client.rules import check_name
from workflows.domain.dates import zone_names

EDITED = ("name", "timezone", "country", "retired")

site_pages = page_router()


@site_pages.get("/sites")
async def show_sites(request: Request, clients: Clients) -> Response:
    """Every site, retired ones last."""
    sites = (await clients.directory.sites()).items
    return page(request, "sites.html", sites=sorted(sites, key=lambda site: site.retired))


@site_pages.get("/sites/new")
async def show_new_site(request: Request) -> Response:
    return _new_page(request, BoundForm(Form({})))


@site_pages.post("/sites/new")
async def add_site(request: Request, clients: Clients) -> Response:
    """The site; the same one twice is one. Its id is made of its name when none is given."""
    bound = await BoundForm.read(request, ("name", "site_id", "timezone", "country"))
    form, errors, name = bound.form, bound.errors, bound.form.text("name")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    values = {"site_id": form.text("site_id") or slug or None, "name": name, "timezone": form.text("timezone") or None}
    body = errors.read(SiteGiven, values | {"country": form.text("country") or None})
    await _check_site_name(clients, bound, body.site_id if body else "")
    if body is not None and not errors.stopped:
        site = await bound.carry_out(clients.directory.add_site(body, caller_of(request)))
        if site is not None:
            return redirect(request, "/clients/new", f"Added {site.name}. Now its first client.", site=site.site_id)
    return _new_page(request, bound)


@site_pages.get("/sites/{site_id}")
async def show_site(request: Request, clients: Clients, site_id: str) -> Response:
    site = await _site(clients, site_id)
    return await _edit_page(request, clients, site, BoundForm(Form(_fields_of(site))))


@site_pages.post("/sites/{site_id}")
async def edit_site(request: Request, clients: Clients, site_id: str) -> Response:
    """What was changed of the site, now; or the same form, with what keeps it from that."""
    bound, site = await BoundForm.read(request, EDITED), await _site(clients, site_id)
    form, errors = bound.form, bound.errors
    edits = {name: form.text(name) for name in EDITED if form.text(name) != form.was(name)}
    changes: dict[str, object] = {name: value or None for name, value in edits.items()}
    if "retired" in edits:
        changes["retired"] = bool(edits["retired"])
    body = errors.read(SiteEdit, changes | ({"name": edits["name"]} if "name" in edits else {}))
    if "timezone" in edits and not edits["timezone"]:
        errors.refuse("timezone", "The time zone is missing. Give a name of the list, such as Europe/London")
    if "name" in edits:
        await _check_site_name(clients, bound, site_id)
    if body is not None and not errors.stopped:
        edited = await bound.carry_out(clients.directory.edit_site(site_id, body, caller_of(request)))
        if edited is not None:
            changed = "Saved" if edits else "Nothing was changed:"
            return redirect(request, f"/sites/{site_id}", f"{changed} {edited.name}.")
    return await _edit_page(request, clients, site, bound)


async def _check_site_name(clients: ClientService, bound: BoundForm, site_id: str) -> None:
    """Two sites of one name would be taken for each other."""
    name, errors = bound.form.text("name"), bound.errors
    if name:
        errors.meet("name", check_name, name)
    namesake = next((site for site in (await clients.directory.sites()).items if site.name == name), None)
    if namesake is not None and site_id and namesake.site_id != site_id:
        errors.refuse("name", f"There is a site of this name already ({namesake.site_id}). Give it another")


async def _site(clients: ClientService, site_id: str) -> Site:
    site = await clients.directory.site(site_id)
    if site is None:
        raise NoSuchSite(site_id)
    return site


def _fields_of(site: Site) -> dict[str, str]:
    return {name: "" if not (value := getattr(site, name)) else "yes" if value is True else value for name in EDITED}


def _new_page(request: Request, bound: BoundForm) -> Response:
    return page(request, "new_site.html", bound.status, form=bound.form, errors=bound.errors, **_choices())


async def _edit_page(request: Request, clients: ClientService, site: Site, bound: BoundForm) -> Response:
    form = bound.form.opened(_fields_of(site)) if not bound.form.initial else bound.form
    history = await clients.directory.site_history(site.site_id)
    content = {"site": site, "form": form, "errors": bound.errors, "history": history}
    return page(request, "site.html", bound.status, **content, **_choices())


def _choices() -> dict[str, object]:
    """The time zones and the countries that a site can be in."""
    return {"zones": sorted(zone_names() - NO_PLACES), "countries": sorted(phonenumbers.SUPPORTED_REGIONS)}
