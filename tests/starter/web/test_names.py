"""Claims about the names that API and console answer to, and about what they say of themselves behind a proxy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from activities.settings import Settings
from starter.app import create_app
from starter.console.auth.sessions import COOKIE, Sessions
from starter.console.calendar_feed import feed_path
from starter.serve import server_of
from starter.web.names import Names
from starter.web.security import HSTS
from tests.support.service import HOME, TOKEN, Service, running, unique
from tests.support.waiting import free_port, http_client
from tests.support.wire import answer_to

HTML = {"Accept": "text/html"}
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NOT_OURS = [
    "evil.example",
    "127.0.0.1.evil.example",
    "evil.example:80@127.0.0.1",
    "localhost.",
    "127.0.0.1:",
    "127.0.0.1:8000:8000",
    "127.0.0.1, evil.example",
    "127.0.0.1/evil",
    "127.0.0.1\\evil",
    "127.0.0.1\tx",
    "[::1",
    "::1",
    "2130706433",
    "\uff4cocalhost",
    "",
]


@asynccontextmanager
async def behind(service: Service, **changed: Any) -> AsyncIterator[str]:
    """The service as a process with these settings serves it."""
    settings = Settings(**{**service.settings.model_dump(), "port": free_port(), **changed})
    app = create_app(service.clients, TOKEN, names=Names.of(settings))
    async with running(server_of(settings, app)) as url:
        yield url


@pytest.mark.parametrize("host", NOT_OURS, ids=ascii)
async def test_nothing_is_answered_under_a_name_that_is_not_ours(service: Service, host: str) -> None:
    for path in ("/sign-in", "/clients", "/api/v1/clients", "/static/console.css", "/upcoming.ics", "/nowhere"):
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {TOKEN}"]
        status, answer = await answer_to(service.url, *lines)
        assert status in (400, 421), (path, answer)  # 400: what no server reads
        assert "evil" not in answer
        assert "client_id" not in answer
    assert status == 400 or "CONNECT_HOSTS" in answer, "the remedy is said"


@pytest.mark.parametrize(
    "hosts",
    [[], ["Host: 127.0.0.1", "Host: evil.example"], ["Host: 127.0.0.1", "Host: 127.0.0.1"]],
    ids=["none", "two", "the same twice"],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_request_says_one_host(service: Service, hosts: list[str], version: str) -> None:
    status, _ = await answer_to(service.url, f"GET /sign-in HTTP/{version}", *hosts)
    assert status in (400, 421)


async def test_a_stranger_is_refused_before_his_body_is_read(service: Service) -> None:
    lines = ["POST /sign-in HTTP/1.1", "Host: evil.example", "Content-Length: 60000"]
    assert (await answer_to(service.url, *lines))[0] == 421, "without waiting for what never comes"


async def test_a_person_is_shown_a_page_and_a_program_a_problem(service: Service) -> None:
    async with http_client(base_url=service.url, headers={"Host": "evil.example"}) as browser:
        page = await browser.get("/clients", headers=HTML)
        assert (page.status_code, page.headers["content-type"]) == (421, "text/html; charset=utf-8")
        assert "<h1>Connect has another name</h1>" in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        problem = (await browser.get("/api/v1/clients", headers=HTML | BEARER)).json()
        assert (problem["status"], problem["title"]) == (421, "Not our name")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST:65535", "[::1]:8000"])
async def test_loopback_names_are_always_ours_and_stand_in_no_answer(service: Service, host: str) -> None:
    async with http_client(base_url=service.url, headers={"Host": host}) as browser:
        for path in ("/sign-in", "/clients/", "/nowhere", "/clients?x=1", feed_path(TOKEN), "/static", "/api/v1/"):
            for headers in (HTML, HTML | BEARER, BEARER):
                answer = await browser.get(path, headers=headers)
                assert answer.status_code < 500, path
                content = answer.text.replace("127.0.0.1, localhost", "") + str(answer.headers)
                content = content.replace(Names().public_url, "")
                assert host.lower() not in content.lower(), (path, content)


async def test_the_checks_are_answered_to_a_load_balancer_that_asks_by_address(service: Service) -> None:
    for path, answer in (("/healthz", {"alive": True}), ("/readyz", {"ready": True})):
        async with http_client() as balancer:
            checked = await balancer.get(f"{service.url}{path}", headers={"Host": "10.1.2.3:8000"})
            assert (checked.status_code, checked.json()) == (200, answer)


async def test_names_are_a_setting(service: Service) -> None:
    url_, hosts = "https://connect.example", "other.example, third.example:8443"
    async with behind(service, public_url=url_, hosts=hosts) as url, http_client() as caller:
        for host, status in (
            ("connect.example", 200),
            ("connect.example:444", 200),
            ("other.example:1", 200),
            ("third.example:8443", 200),
            ("third.example", 421),
            ("third.example:8444", 421),
            ("fourth.example", 421),
        ):
            answer = await caller.get(f"{url}/sign-in", headers={"Host": host, "X-Forwarded-Host": "connect.example"})
            assert answer.status_code == status, host


async def test_feeds_say_the_public_address_whatever_the_host_header_says(service: Service) -> None:
    client = await service.create(unique("Feed"))
    await service.post(client["client_id"], "suspend", last_day="2199-01-31")
    settings = {"public_url": "https://connect.example/", "hosts": "evil.example"}
    async with behind(service, **settings) as url, http_client(base_url=url) as caller:
        host = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        feed = (await caller.get(feed_path(TOKEN), headers=host)).text
        assert f"URL:https://connect.example/clients/{client['client_id']}" in feed.replace("\r\n ", "")
        page = (await caller.get("/upcoming", headers=HTML | BEARER | host)).text
        assert 'value="https://connect.example/upcoming.ics?' in page
        assert 'href="webcal://connect.example/upcoming.ics?' in page
        assert "evil" not in feed + page


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"trusted_proxies": "*"}, "trusted_proxies", "is everybody"),
        ({"trusted_proxies": "10.0.0.1,0.0.0.0/0"}, "trusted_proxies", "is everybody"),
        ({"trusted_proxies": "::/0"}, "trusted_proxies", "is everybody"),
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies", "no address or network"),
        ({"trusted_proxies": "10.0.0.1/8"}, "trusted_proxies", "no address or network"),
        ({"hosts": "https://connect.example"}, "hosts", "must be host names"),
        ({"hosts": "*"}, "hosts", "must be host names"),
        ({"public_url": "connect.example"}, "public_url", "https://connect.example"),
        ({"public_url": "https://connect.example/console"}, "public_url", "no path"),
        ({"public_url": "https://me:secret@connect.example"}, "public_url", "no path"),
    ],
)
def test_a_setting_that_lets_strangers_in_is_refused_at_the_start(
    settings: Settings, changes: dict[str, str], name: str, words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{**settings.model_dump(), **changes})
    [wrong] = refused.value.errors()
    assert wrong["loc"] == (name,)
    assert words in wrong["msg"]


@pytest.mark.parametrize("proxies", ["", "127.0.0.1", "10.0.0.7, 10.1.0.0/24,fd00::7"])
def test_a_setting_that_names_its_proxies_is_taken(settings: Settings, proxies: str) -> None:
    assert Settings(**{**settings.model_dump(), "trusted_proxies": proxies}).trusted_proxies == proxies


def test_a_process_answers_to_the_address_it_listens_on(service: Service) -> None:
    for listens, host, url in (
        ("127.0.0.1", "127.0.0.1:1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "127.0.0.1:1", "http://127.0.0.1:8000"),
        ("::", "[::1]:1", "http://127.0.0.1:8000"),
        ("10.0.0.5", "10.0.0.5:8000", "http://10.0.0.5:8000"),
        ("fd00::5", "[fd00::5]:8000", "http://[fd00::5]:8000"),
    ):
        names = Names.of(Settings(**{**service.settings.model_dump(), "host": listens}))
        assert names.answer_to([host]), listens
        assert not names.answer_to(["0.0.0.0"])
        assert names.public_url == url


# -- behind TLS -------------------------------------------------------------------------------------------------------

TLS = {"Host": "connect.example", "X-Forwarded-Proto": "https"}
SERVED = {"public_url": "https://connect.example", "trusted_proxies": "127.0.0.1"}


async def test_behind_tls_the_cookie_is_for_this_host_and_tls_alone(service: Service) -> None:
    async with (
        behind(service, **SERVED) as url,
        http_client(base_url=url, headers=HTML) as browser,
    ):
        headers = TLS | {"Origin": "https://connect.example"}
        entered = await browser.post("/sign-in", data={"token": TOKEN}, headers=headers)
        assert entered.status_code == 303, entered.text
        assert entered.headers["strict-transport-security"] == HSTS
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith(f"__Host-{COOKIE}=")
        for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in cookie
        assert "domain" not in cookie.lower()
        value = cookie.partition("=")[2].partition(";")[0]

        async def opened(name: str, headers: dict[str, str]) -> bool:
            page = await browser.get("/clients", headers=HTML | headers | {"Cookie": f"{name}={value}"})
            return page.status_code == 200

        assert await opened(f"__Host-{COOKIE}", TLS)
        assert not await opened(COOKIE, TLS), "another name is another cookie"
        for plain in ({"Host": "connect.example"}, {"Host": "127.0.0.1"}):
            assert not await opened(COOKIE, plain), "nothing without TLS"
            assert not await opened(f"__Host-{COOKIE}", plain)
        assert not await opened(f"__Host-{COOKIE}", TLS | {"Host": "localhost"}), "nor at another host name"
        out = await browser.post("/sign-out", headers=headers | {"Cookie": f"__Host-{COOKIE}={value}"})
        assert f"__Host-{COOKIE}=" in out.headers["set-cookie"]
        assert "Secure" in out.headers["set-cookie"], "browsers drop it only so"
        assert not await opened(f"__Host-{COOKIE}", TLS)


async def test_a_session_begun_without_tls_is_nothing_behind_it(service: Service) -> None:
    cookie = await Sessions(service.clients.directory.database, TOKEN).begin("ann", HOME) or ""
    async with behind(service, **SERVED) as url, http_client(base_url=url) as browser:
        for name in (COOKIE, f"__Host-{COOKIE}"):
            headers = HTML | {"Cookie": f"{name}={cookie}", "X-Forwarded-Proto": "https", "Host": "127.0.0.1"}
            assert (await browser.get("/clients", headers=headers)).status_code == 303
        plain = await browser.get("/clients", headers=HTML | {"Cookie": f"{COOKIE}={cookie}"})
        assert plain.status_code == 200
        assert "strict-transport-security" not in plain.headers


async def test_only_a_named_proxy_says_that_there_is_tls(service: Service) -> None:
    settings = {**SERVED, "trusted_proxies": ""}
    async with behind(service, **settings) as url, http_client(base_url=url) as browser:
        entered = await browser.post("/sign-in", data={"token": TOKEN}, headers=TLS)
        assert entered.headers["set-cookie"].startswith(f"{COOKIE}=")
        assert "strict-transport-security" not in entered.headers
