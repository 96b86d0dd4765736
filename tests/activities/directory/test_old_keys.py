"""Claims about keys of requests that no client has: they go after a time, and no others do."""

from datetime import timedelta

from activities.background import background
from activities.directory.old_keys import OldKeys
from starter.directory.once import digest_of_key
from tests.activities.fixtures import World
from tests.support.databases import connected
from tests.support.waiting import eventually

DATABASES = ("directory",)
KEEP = timedelta(days=90)

CLAIM = """
INSERT INTO request_answers (caller, client_id, key, fingerprint, at)
VALUES ('crm', $1, $2, '', now() - $3::interval)"""
VERDICT = """
INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, refusal, at)
VALUES ($1, $2, '', 'create', false, '', $3::text::jsonb, now() - $4::interval)"""


async def test_keys_of_no_client_are_forgotten_after_the_time_and_no_others(world: World) -> None:
    old, new = KEEP + timedelta(hours=1), KEEP - timedelta(hours=1)
    await world.register("acme")
    async with connected(world.dsns["directory"]) as connection:
        for name, client_id, age in (
            ("of a client", "acme", old),
            ("of nobody", "nobody", old),
            ("of nobody, new", "nobody", new),
            ("of a site", "", old),
        ):
            await connection.execute(CLAIM, client_id, name, age)
        for name, client_id, refusal, age in (
            ("obeyed", "acme", None, old),
            ("refused before it was there", "acme", "{}", old),
            ("refused", "nobody", "{}", old),
            ("refused, new", "nobody", "{}", new),
        ):
            kept_as = digest_of_key(name) if refusal is not None else name
            await connection.execute(VERDICT, client_id, kept_as, refusal, age)
            await connection.execute(CLAIM, "", digest_of_key(name), age)
    async with background(OldKeys(world.dsns["directory"], KEEP).run):
        kept = {"of a client", "of nobody, new", "of a site"}
        kept |= {digest_of_key(name) for name in ("obeyed", "refused before it was there", "refused, new")}
        await eventually(lambda: keys(world, "SELECT key FROM request_answers"), equal=kept)
    verdicts = await keys(world, "SELECT command_id FROM answers")
    assert verdicts == {"obeyed", digest_of_key("refused before it was there"), digest_of_key("refused, new")}


async def keys(world: World, query: str) -> set[str]:
    return {key for (key,) in await world.rows("directory", query)}
