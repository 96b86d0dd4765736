"""What the command line shows people of sites."""

from typing import Any

from starter.cli.show.tables import Column, count, note, say, show, table


def site(site: dict[str, Any]) -> None:
    systems = _systems(site)
    say(f"Site {site['site_id']}: {site['name']}, {site['timezone']}{systems and f', served by {systems}'}")


def sites(page: dict[str, Any]) -> None:
    if not page["items"]:
        say("No sites yet: connect site add ID --name NAME --timezone Europe/London")
        return
    rows = [[site["site_id"], site["name"], site["timezone"], _systems(site)] for site in page["items"]]
    columns = [Column("site"), Column("name", least=12), Column("time zone"), Column("systems", least=12)]
    named = any(row[-1] for row in rows)
    show(table(columns if named else columns[:-1], rows if named else [row[:-1] for row in rows]))
    note(count(page["total"], "site"))


def _systems(site: dict[str, Any]) -> str:
    """The instances that it names, of systems that others are served by, too."""
    return ", ".join(f"{kind} {instance}" for kind, instance in sorted(site["systems"].items()))
