from datetime import timedelta
from tests.workflows.conftest import House


async def test_smoke(house: House) -> None:
    h = await house.start()
    v = await house.view(h)
    print(v)
    assert v.status == "active", v
    a = await house.command(h, "suspend", source="billing", reason="unpaid")
    assert a.status == "suspended" and a.changed
    n = len(await house.events(h))
    v = await house.settled(h)
    assert not any(house.telephony.lines.values())
    print("\n".join(await house.events(h)))
    d = await house.command(h, "decommission", last_day=str(house.day(3)))
    print(d.planned)
    await house.skip(h, timedelta(days=5))
    r = await h.result()
    assert r.status == "decommissioned"
    print(house.directory.told(r.client_id))
