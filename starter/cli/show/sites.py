"""What the command line shows people of sites."""

from typing import Any

from starter.cli.show.tables import Column, count, moment, note, show, show_text, table


def site(site: dict[str, Any]) -> None:
    systems = _systems(site)
    more = f"{', ' + site['country'] if site['country'] else ''}{', retired' if site['retired'] else ''}"
    show_text(f"Site {site['site_id']}: {site['name']}, {site['timezone']}{more}{systems and f', served by {systems}'}")


def sites(page: dict[str, Any]) -> None:
    if not page["items"]:
        show_text("No sites yet: connect site add ID --name NAME --timezone Europe/London")
        return
    rows = [
        [site["site_id"], _name(site), site["timezone"], site["country"] or "", _systems(site)]
        for site in page["items"]
    ]
    columns = [Column("site"), Column("name", least=12), Column("time zone"), Column("country")]
    columns += [Column("systems", least=12)]
    named = any(row[-1] for row in rows)
    show(table(columns if named else columns[:-1], rows if named else [row[:-1] for row in rows]))
    note(count(page["total"], "site"))


def history(page: dict[str, Any]) -> None:
    rows = [[moment(it["at"]), it["by"] or "-", it["text"]] for it in page["items"]]
    show(table([Column("time (UTC)"), Column("by", least=12), Column("what")], rows, wrap=True))
    note(f"{len(rows)} of {count(page['total'], 'change')}, newest first")


def _name(site: dict[str, Any]) -> str:
    return f"{site['name']} (retired)" if site["retired"] else str(site["name"])


def _systems(site: dict[str, Any]) -> str:
    """The instances that it names, of systems that others are served by, too."""
    return ", ".join(f"{kind} {instance}" for kind, instance in sorted(site["systems"].items()))
