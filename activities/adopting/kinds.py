"""The kinds of systems that our own adapters switch, as they are looked at."""

from activities.adopting import internet, telephony
from workflows.domain.systems import INTERNET, TELEPHONY

KINDS = {TELEPHONY: telephony.KIND, INTERNET: internet.KIND}
