"""Nothing is sent to an address inside, whatever its name resolves to, unless a setting names its network."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from activities.webhooks.message import secret
from activities.webhooks.sending import NAMES_AT_ONCE, NotSent, Sender, check_url, is_public, networks_of, resolve
from tests.activities.webhooks.receiver import CUT, receiving
from tests.support.waiting import HANGING, eventually, unless_it_hangs

INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1", "::1", "::", "fe80::1", "fd00::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "2002:a00:1::",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:0:7f00:1::",
    "fec0::1", "feff::1", "64:ff9b:1::a00:1", "64:ff9b:1::101:101", "64:ff9b:1:ffff::101:101", "::10.0.0.1",
    "::1.1.1.1", "::ffff:0:10.0.0.1", "::ffff:0:1.1.1.1", "64:ff9b::10.0.0.1", "64:ff9b:0:1::101:101",
    "2002:a9fe:a9fe::1", "2001:0:101:101::fefe:fefe", "2001:0:101:101::f5ff:fffe", "2001:1::1", "2001:20::1", "3fff::1",
    "100::1", "5f00::1", "4000::1", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "192.0.0.9",
    "192.0.0.192", "192.88.99.1", "::ffff:192.88.99.1",
]  # fmt: skip
OUTSIDE = [
    "1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "2002:101:101::", "64:ff9b::101:101",
    "2606:4700::5efe:1.1.1.1", "2001:4860:4860::8888", "2001:200::1", "2a00:1450::1",
]  # fmt: skip


def resolving(*addresses: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    async def resolve(_: str, __: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize("address", INSIDE)
async def test_nothing_is_sent_inside(address: str) -> None:
    assert not is_public(ip_address(address))
    async with receiving() as receiver:
        for safe in ((), ("1.1.1.1",)):
            sender = Sender(resolve=resolving(*safe, address))
            with pytest.raises(NotSent, match="inside: CONNECT_WEBHOOK_NETWORKS"):
                await sender.send(f"https://billing.example.net:{receiver.port}/", b"{}", {})
    assert receiver.requests == 0


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_outside(address: str) -> None:
    assert is_public(ip_address(address))


async def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_a_moment_later() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])

    async def resolve(_: str, __: int) -> Sequence[str]:
        return next(answers)

    async with receiving(lambda number: 204) as receiver:
        sender = Sender(networks_of("127.0.0.1/32"), resolve=resolve)
        assert await sender.send(f"http://billing.example.net:{receiver.port}/", b"{}", {}) == 204
        with pytest.raises(NotSent, match="inside"):
            await sender.send(f"http://billing.example.net:{receiver.port}/", b"{}", {})
    assert receiver.requests == 1


async def test_a_network_that_is_named_is_allowed_in_every_spelling_and_no_other() -> None:
    async with receiving(lambda number: 204) as receiver:
        for address, network in (("127.0.0.1", "127.0.0.0/8"), ("::ffff:127.0.0.1", "127.0.0.0/8")):
            sender = Sender(networks_of(network), resolve=resolving(address))
            assert await sender.send(f"http://inside:{receiver.port}/", b"{}", {}) == 204
        with pytest.raises(NotSent, match="inside"):
            await Sender(networks_of("10.0.0.0/8"), resolve=resolving("127.0.0.1")).send("http://inside/", b"", {})


async def test_of_a_name_with_several_addresses_the_first_that_can_be_reached_is_sent_to_once() -> None:
    async with receiving(lambda number: 204) as receiver:
        url, inside = f"http://inside:{receiver.port}/", networks_of("127.0.0.0/8")
        several = Sender(inside, HANGING, resolving("127.0.0.7", "127.0.0.8", "127.0.0.1", "127.0.0.9"))
        assert await several.send(url, b"{}", {}) == 204
        assert receiver.requests == 1
        mixed = Sender(inside, HANGING, resolving("127.0.0.1", "10.0.0.1"))
        with pytest.raises(NotSent, match="inside"):
            await mixed.send(url, b"{}", {})
        receiver.answer, receiver.secret = lambda number: CUT, secret(b"k" * 32, "wh-1", 1)
        with pytest.raises(NotSent, match="no answer"):
            await several.send(url, b"{}", {})
        assert receiver.requests == 2, "what was sent is not sent again elsewhere"


async def test_outside_nothing_goes_without_tls() -> None:
    with pytest.raises(NotSent, match="no https"):
        await Sender(resolve=resolving("1.1.1.1")).send("http://billing.example.net/", b"{}", {})


async def test_a_redirect_is_not_followed_and_a_silent_receiver_not_waited_for() -> None:
    async with receiving(lambda number: 302) as receiver:
        sender = Sender(networks_of("127.0.0.0/8"))
        assert await sender.send(receiver.url, b"{}", {}) == 302
        assert receiver.requests == 1
        receiver.answer = lambda number: None
        with pytest.raises(NotSent, match="No answer within"):
            await Sender(networks_of("127.0.0.0/8"), seconds=0.1).send(receiver.url, b"{}", {})
    with pytest.raises(NotSent, match="No connection"):
        await sender.send(receiver.url, b"{}", {})


async def test_a_name_of_other_letters_is_looked_up_as_it_is_told_to_the_receiver() -> None:
    """The library of the system would make ``fass.example`` of it: an older rule, and another host."""
    asked = []

    async def resolve(name: str, _: int) -> Sequence[str]:
        asked.append(name)
        return ()

    with pytest.raises(NotSent, match="does not resolve"):
        await Sender(resolve=resolve).send("https://fa\u00df.example/", b"{}", {})
    assert asked == ["xn--fa-hia.example"]


async def test_a_name_that_does_not_resolve_is_told() -> None:
    async def resolve(_: str, __: int) -> Sequence[str]:
        raise OSError

    for resolver in (resolve, resolving()):
        with pytest.raises(NotSent, match="does not resolve"):
            await Sender(resolve=resolver).send("https://nowhere.example/", b"{}", {})


async def test_names_that_resolve_slowly_hold_threads_of_their_own_and_no_more_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, looked_up, getaddrinfo = threading.Event(), list[str](), socket.getaddrinfo

    def slow(name: str, port: int, *rest: Any, **named: Any) -> Sequence[tuple[object, ...]]:
        if not name.startswith("billing-"):
            return getaddrinfo(name, port, *rest, **named)
        looked_up.append(name)
        answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    names = [f"billing-{number}.example.net" for number in range(2 * NAMES_AT_ONCE)]
    try:
        async with unless_it_hangs():
            resolving = [asyncio.create_task(resolve(name, 443)) for name in names]
            await eventually(lambda: len(looked_up), equal=NAMES_AT_ONCE)
            await asyncio.to_thread(len, names)  # the loop's threads are free
            assert len(looked_up) == NAMES_AT_ONCE
            for late in resolving[NAMES_AT_ONCE:]:
                late.cancel()  # an attempt that ends meanwhile asks nothing
            await asyncio.gather(*resolving[NAMES_AT_ONCE:], return_exceptions=True)
    finally:
        answered.set()
    assert await asyncio.gather(*resolving[:NAMES_AT_ONCE]) == [["1.1.1.1"]] * NAMES_AT_ONCE
    assert sorted(looked_up) == sorted(names[:NAMES_AT_ONCE])


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "ftp://a.example/", "https://", "https://user:pw@a.example/", "https://a.example/#x", "//a.example",
        "https://a b.example/", "https://a..example/", "https://.example/", f"https://{'a' * 64}.example/",
        "https://a.example:0/", "https://a.example:65536/", "https://*.example/", "http://[fe80::1%25eth0]/",
    ],
)  # fmt: skip
def test_an_address_that_nothing_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|must"):
        check_url(url)
