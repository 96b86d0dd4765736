"""What the command line shows people of sites."""

from typing import Any

from starter.cli.show.tables import Column, count, note, say, show, table


def site(site: dict[str, Any]) -> None:
    say(f"Site {site['site_id']}: {site['name']}, {site['timezone']}")


def sites(page: dict[str, Any]) -> None:
    if not page["items"]:
        say("No sites yet: connect site add ID --name NAME --timezone Europe/London")
        return
    rows = [[site["site_id"], site["name"], site["timezone"]] for site in page["items"]]
    show(table([Column("site"), Column("name", least=12), Column("time zone")], rows))
    note(count(page["total"], "site"))
