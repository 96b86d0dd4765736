"""What is odd about a client beside others of its site, said beside the fields of a form. Nothing keeps it from being
sent."""

from collections.abc import Iterable

from starter.clients import ClientService
from starter.console.forms.errors import FormErrors


async def hint_lookalikes(
    clients: ClientService,
    errors: FormErrors,
    client_id: str,
    site: str | None,
    offices: Iterable[tuple[str, str | None]],
    name: str | None,
) -> None:
    """Say of each field with an office that another client is in it, and of the name that a former one had it."""
    typed = [(field, office) for field, office in offices if office]
    found = await clients.directory.lookalikes(client_id, site, [office for _, office in typed], name)
    let = {office.casefold(): tenants for office, tenants in found.offices.items()}
    for field, office in typed:
        if (tenants := let.get(office.casefold())) and field not in errors.wrong:
            errors.hint(field, f"It is the office of {tenants}, too. Is that intended?", "caution")
    if found.former and "name" not in errors.wrong:
        errors.hint("name", f"A former client of the site has this name: {found.former}.", "caution")
