"""Every system that a worker serves: one activity, which hands each order to the adapter that it is for."""

from collections.abc import Collection, Mapping

from temporalio import activity

from activities.errors import benign
from workflows.domain.systems import SystemInstance
from workflows.ports import Ensure, Evidence, ServiceSystem

NOT_SERVED = "NotServed"


class Systems(ServiceSystem):
    """The adapters of this worker, by instance."""

    def __init__(self, adapters: Mapping[SystemInstance, ServiceSystem]) -> None:
        self._adapters = adapters

    @property
    def served(self) -> Collection[SystemInstance]:
        return self._adapters.keys()

    @activity.defn(name="ensure")
    async def ensure(self, order: Ensure) -> Evidence:
        return await self._adapter(order).ensure(order)

    def _adapter(self, order: Ensure) -> ServiceSystem:
        """Raises ApplicationError (NotServed) for an instance that is another worker's, or nobody's."""
        adapter = self._adapters.get(order.served_by)
        if adapter is None:
            raise benign(f"This worker does not serve {order.system} {order.instance}", type=NOT_SERVED)
        return adapter
