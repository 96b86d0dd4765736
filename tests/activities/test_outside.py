"""What silence over UDP means: a host that is there says when nobody listens."""

import socket

from activities.outside import ProbeResult, silence
from tests.support.waiting import free_udp_port


async def test_a_port_that_nobody_listens_at_is_told_from_a_server_that_is_silent() -> None:
    assert await silence("127.0.0.1", free_udp_port(), "the server", "a REGISTER") == (
        ProbeResult.CLOSED,
        "the server: nobody listens there",
    )
    with socket.socket(type=socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        assert await silence("127.0.0.1", mute.getsockname()[1], "the server", "a REGISTER") == (
            ProbeResult.SILENT,
            "the server did not answer a REGISTER",
        )


async def test_a_name_that_leads_nowhere_is_silence_with_the_reason() -> None:
    result, said = await silence("nowhere.invalid", 5060, "the server", "a REGISTER")
    assert (result, said.startswith("the server cannot be reached: ")) == (ProbeResult.SILENT, True)
