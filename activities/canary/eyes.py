"""A telephone and a router of the canary's own: how its line and its account look from outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import activities.internet.outside
import activities.telephony.outside
from activities.instances import Instance
from activities.outside import NOT_ASKED, Seen
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance

_LOOKS = {TELEPHONY: activities.telephony.outside.look, INTERNET: activities.internet.outside.look}


@dataclass(frozen=True)
class Eyes:
    """Logs in with the secrets that Connect derives, at the servers that the settings name for each instance."""

    instances: Mapping[SystemInstance, Instance]
    master_key: bytes = field(repr=False)

    async def look(self, key: SystemInstance, client_id: str, subject: str, version: int) -> Seen:
        """How a line or an account is found. Raises ValueError or OSError for a setting that is wrong."""
        instance, look = self.instances.get(key), _LOOKS.get(key.system)
        if instance is None or look is None:
            return NOT_ASKED
        return await look(instance.settings, self.master_key, client_id, subject, version)
