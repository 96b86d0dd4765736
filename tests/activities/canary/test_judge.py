"""Which stage is named, by what a round found: the judge alone, without any server."""

from dataclasses import replace

import pytest

from activities.canary.judge import OF_PROBLEMS, Facts, Look, Refusal, Stage, judge
from activities.canary.rounds import Pace
from activities.outside import ProbeResult
from activities.settings import Settings
from starter import errors
from starter.web.problems import problem_of

NOBODY = Refusal(0, "", "GET /healthz was not answered within 4.5 s")
PHONE = Look("telephony", "main", should_be_on=False, settled=True, result=ProbeResult.TURNED_AWAY)
ROUTER = Look("internet", "york", should_be_on=False, settled=True, result=ProbeResult.TURNED_AWAY)
ON = {"should_be_on": True, "result": ProbeResult.LET_IN}


def stage_of(facts: Facts) -> tuple[str, str]:
    verdict = judge(facts)
    return (verdict.stage, verdict.system) if verdict else ("", "")


def looks(**changed: object) -> Facts:
    """The telephone as it should be while off, the router otherwise so."""
    return Facts(looks=(PHONE, replace(ROUTER, **changed)))  # type: ignore[arg-type]  # as the test names them


@pytest.mark.parametrize(
    "facts",
    [
        Facts(looks=(PHONE, ROUTER)),
        looks(**ON),
        looks(result=ProbeResult.NOT_ASKED),
        looks(should_be_on=True, result=ProbeResult.NOT_ASKED),
        Facts(),
    ],
)
def test_all_that_is_as_decided_is_green(facts: Facts) -> None:
    assert judge(facts) is None


@pytest.mark.parametrize(
    ("stage", "facts"),
    [
        (Stage.NETWORK, looks(result=ProbeResult.SILENT)),
        (Stage.NETWORK, looks(result=ProbeResult.SILENT, settled=False, workers=1)),
        (Stage.SYSTEM, looks(result=ProbeResult.CLOSED)),
        (Stage.SYSTEM, looks(result=ProbeResult.LET_IN)),
        (Stage.SYSTEM, looks(should_be_on=True)),
        (Stage.SYSTEM, looks(result=ProbeResult.OTHER)),
        (Stage.SYSTEM, looks(settled=False, workers=2)),
        (Stage.SYSTEM, looks(settled=False, result=ProbeResult.NOT_ASKED)),
        (Stage.WORKER, looks(settled=False, workers=0)),
        (Stage.WORKER, looks(settled=False, workers=0, result=ProbeResult.LET_IN)),
    ],
)
def test_a_system_that_is_not_as_decided_is_named_with_its_stage(stage: Stage, facts: Facts) -> None:
    """Accepted while suspended is the system's; silence is the network's; work that nobody takes is the worker's."""
    verdict = judge(facts)
    assert verdict
    assert (verdict.stage, verdict.system, verdict.instance) == (stage, "internet", "york")
    assert "internet york" in verdict.text


def test_what_cannot_be_seen_comes_before_what_is_not_so() -> None:
    wrong = replace(PHONE, result=ProbeResult.LET_IN)
    assert stage_of(Facts(looks=(wrong, replace(ROUTER, result=ProbeResult.SILENT)))) == ("network", "internet")


@pytest.mark.parametrize(
    ("stage", "facts"),
    [
        (Stage.API, Facts(refusal=NOBODY)),
        (Stage.API, Facts(refusal=NOBODY, temporal="no answer within 4.5 s")),
        (Stage.API, Facts(refusal=Refusal(500, "Connect made a mistake", "…"))),
        (Stage.API, Facts(refusal=Refusal(502, "Bad gateway", "of a proxy"))),
        (Stage.API, Facts(refusal=Refusal(429, "Too many requests", "…"))),
        (Stage.TEMPORAL, Facts(temporal="UNAVAILABLE: …")),
        (Stage.TEMPORAL, Facts(temporal="UNAVAILABLE: …", refusal=Refusal(503, "Temporal away", "no answer in time"))),
        (Stage.SETTINGS, Facts(refusal=Refusal(409, "Number taken", "…"))),
        (Stage.SETTINGS, Facts(refusal=Refusal(401, "Not signed in", "…"))),
        (Stage.DIRECTORY, Facts(looks=(PHONE, ROUTER), published=False)),
        (Stage.SYSTEM, Facts(looks=(replace(PHONE, settled=False), ROUTER), published=False)),
    ],
)
def test_the_first_stage_on_the_way_that_fails_is_named(stage: Stage, facts: Facts) -> None:
    assert stage_of(facts)[0] == stage


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        (Stage.TEMPORAL, errors.TemporalAway("no connection")),
        (Stage.WORKER, errors.TemporalAway("no answer in time", "Is a worker running? Repeat the request")),
        (Stage.TEMPORAL, errors.TemporalRefused("too many")),
        (Stage.TEMPORAL, errors.SearchAttributeMissing("…")),
        (Stage.TEMPORAL, errors.WorkflowStuck("acme", "…")),
        (Stage.TEMPORAL, errors.WorkflowMissing("acme", "…")),
        (Stage.DIRECTORY, errors.DirectoryAway("TimeoutError")),
        (Stage.DIRECTORY, errors.DirectoryNotWritable("it is a standby")),
        (Stage.DIRECTORY, errors.NotDecided("acme", "1")),
        (Stage.SETTINGS, errors.NoSuchSite("york")),
    ],
)
def test_what_the_api_says_is_away_is_the_stage(stage: Stage, error: errors.StarterError) -> None:
    """As its problem documents are titled. That nobody answers in Temporal, which did answer us, is the workers'."""
    problem = problem_of(error)
    assert stage_of(Facts(refusal=Refusal(problem.status, problem.title, problem.detail)))[0] == stage
    assert problem.title in OF_PROBLEMS or stage is Stage.SETTINGS


@pytest.mark.parametrize("every", [60.0, 30.0, 1.0])
def test_red_comes_within_two_minutes_and_green_within_one(every: float) -> None:
    """Whatever the settings are: at worst a fault begins as a round has just looked, and ends as one has begun."""
    fields = Settings.model_fields
    slowest = Pace(every, fields["canary_seconds"].default)
    assert slowest.silent.total_seconds() <= 120
    assert slowest.longest + slowest.pause_after_red + slowest.tick <= 60
    for name in ("canary_every_seconds", "canary_seconds"):
        with pytest.raises(ValueError, match="less than or equal"):
            Settings.model_validate({"directory_dsn": "postgresql://", name: fields[name].default + 1})


@pytest.mark.parametrize(
    ("canaries", "why"),
    [
        ("york", "SITE=\\+NUMBER"),
        ("york=01904960999", "SITE=\\+NUMBER"),
        ("york=+4412345", "can exist"),
        ("york=+9991234567", "can exist"),
        ("york=+441904960999,york=+441904960998", "names site york twice"),
        ("york=+441904960999,hull=+441904960999", "names number \\+441904960999 twice"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_write(canaries: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings.model_validate({"directory_dsn": "postgresql://", "canaries": canaries})


def test_each_site_has_the_number_that_the_setting_gives_it() -> None:
    settings = Settings.model_validate(
        {"directory_dsn": "postgresql://", "canaries": " york=+441904960999, hull=+441482960999,"}
    )
    assert settings.canary_numbers == {"york": "+441904960999", "hull": "+441482960999"}
