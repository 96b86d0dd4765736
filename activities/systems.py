"""Every system that a worker serves: one pair of activities, which hand each order to the adapter that it is for."""

from collections.abc import Mapping

from temporalio import activity
from temporalio.exceptions import ApplicationError

from workflows.domain.systems import System
from workflows.ports import Ensure, Evidence, Observe, ServiceSystem

NOT_SERVED = "NotServed"


class Systems(ServiceSystem):
    """The adapters of this worker, by system."""

    def __init__(self, adapters: Mapping[System, ServiceSystem]) -> None:
        self._adapters = adapters

    @activity.defn(name="ensure")
    async def ensure(self, order: Ensure) -> Evidence:
        return await self._adapter(order).ensure(order)

    @activity.defn(name="observe")
    async def observe(self, order: Observe) -> Evidence:
        return await self._adapter(order).observe(order)

    def _adapter(self, order: Ensure | Observe) -> ServiceSystem:
        """Raises ApplicationError (NotServed) for a system that this worker's settings do not name."""
        adapter = self._adapters.get(order.system)
        if adapter is None:
            raise ApplicationError(
                f"This worker does not serve the system {order.system}. Name it in its settings", type=NOT_SERVED
            )
        return adapter
