"""What the directory says of a request beforehand: what others have already, and warnings of what is odd beside others
of the site. Warnings refuse nothing, and change no status code (PRODUCT.md section 2)."""

from collections.abc import Collection

import structlog

from starter.contract.bodies import ClientGiven
from starter.directory.lookalikes import Lookalikes
from starter.directory.reads import DirectoryReads
from starter.errors import DirectoryAway
from workflows.domain.errors import Taken
from workflows.wire.messages import AnyMessage, ChangeServices, Convert, Edit
from workflows.wire.previews import WarningView

OFFICE_IN_USE = "office_in_use"
FORMER_CLIENT = "former_client_of_this_name"

log = structlog.get_logger(__name__)


async def directory_warnings(
    reads: DirectoryReads, client_id: str, request: AnyMessage | ClientGiven, site: str | None = None
) -> list[WarningView]:
    """The directory's warnings of what is asked for a client of this site, or of its own. None while it is away."""
    offices, name = _about(request)
    if not (offices or name):
        return []
    try:
        return warnings_of(await reads.lookalikes(client_id, site, offices, name))
    except DirectoryAway as away:
        log.warning("lookalikes_not_looked_up", client_id=client_id, error=str(away))
        return []


async def taken_by_others(reads: DirectoryReads, client_id: str, message: AnyMessage) -> Taken | None:
    """The refusal of a command's claims by the directory, if it would refuse them. Raises DirectoryAway."""
    numbers = [line.number for line in message.add_lines] if isinstance(message, ChangeServices) else []
    billing_ref, ids = (message.billing_ref, message.external_ids) if isinstance(message, Edit) else (None, {})
    names = [f"{system}:{value}" for system, value in ids.items() if value is not None]
    anything = numbers or billing_ref or names
    return await reads.find_taken(client_id, numbers, billing_ref, names) if anything else None


def warnings_of(found: Lookalikes) -> list[WarningView]:
    """What there is to say of former clients of the name, and of each office."""
    former = f"A former client of the site has this name: {found.former}"
    offices = [
        WarningView(code=OFFICE_IN_USE, text=f"Office {office} is that of another client, too: {clients}")
        for office, clients in found.offices.items()
    ]
    return [*([WarningView(code=FORMER_CLIENT, text=former)] if found.former else []), *offices]


def _about(request: AnyMessage | ClientGiven) -> tuple[Collection[str], str | None]:
    """The offices and the name that a client would have newly."""
    match request:
        case ClientGiven() | Convert():
            offices = {*request.offices, *(line.office for line in request.lines if line.office)}
            return offices, request.name if isinstance(request, ClientGiven) else None
        case ChangeServices():
            return {line.office for line in request.add_lines if line.office}, None
        case Edit():
            return (), request.name
    return (), None
