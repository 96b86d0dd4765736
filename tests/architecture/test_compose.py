"""The several-machine shape, without a Docker engine: its files fit the programs that they start."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
import jsonschema
import pytest
import typer
import yaml
from temporalio.envconfig import ClientConfigProfile

from activities.directory.migrations import migrate
from activities.internet.nas import read_nases
from activities.settings import Settings
from starter.cli.main import app
from starter.local.postgres import EmbeddedPostgres, installed_wheel
from starter.local.temporal import DISALLOWED_HEADERS, NO_FORGED_LINKS, OPTIONS
from tests.architecture.compose import ROOT, SCHEMA, compose, services, used_variables, variables
from tests.support.databases import fetch
from tests.support.waiting import free_port

FOR_NOBODY = (("postgres", "connect"), ("template1", "radius_daemon"))
OURS = ("migrate", "worker", "api")
DOCKERFILES = sorted(
    path.relative_to(ROOT).as_posix() for path in [ROOT / "Dockerfile", *ROOT.glob("deploy/**/*.Dockerfile")]
)
HAVE_DEFAULTS = {
    *("SIP_GATEWAY", "SIP_GATEWAY_PORT", "RADIUS_MESSAGE_AUTHENTICATOR", "RADIUS_CLIENTS_IPV6", "CANARIES"),
    *("OIDC_ISSUER", "OIDC_AUDIENCE", "OIDC_CLIENT_ID", "OIDC_ROLE_CLAIM", "OIDC_ROLES"),
}
FOLDERS = {"kamailio": "deploy/kamailio/*.cfg", "freeradius": "deploy/freeradius/*.conf"}
OF_LIBRARIES = {"PGOPTIONS"}


def test_the_file_is_as_the_compose_specification_says() -> None:
    jsonschema.validate(compose(), SCHEMA)


@pytest.mark.parametrize("service", services())
def test_a_service_names_only_what_there_is(service: str) -> None:
    whole, it = compose(), services()[service]
    assert set(it.get("depends_on", {})) <= set(services())
    assert set(it.get("secrets", [])) <= set(whole["secrets"])
    for needed, how in it.get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in services()[needed]
        if how["condition"] == "service_completed_successfully":
            assert services()[needed]["restart"] == "on-failure", "a service that runs for ever never completes"
    for volume in it.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in whole["volumes"]
    if isinstance(it.get("build"), dict):
        assert (ROOT / it["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("service", services())
def test_what_runs_for_ever_says_how_it_is(service: str) -> None:
    it = services()[service]
    assert ("healthcheck" in it) == (it["restart"] == "unless-stopped")


@pytest.mark.parametrize("service", services())
def test_images_are_exact_versions(service: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?(@sha256:[0-9a-f]{64})?", services()[service]["image"])


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_what_images_are_built_from_is_pinned(dockerfile: str) -> None:
    text = (ROOT / dockerfile).read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)(?: AS \S+)?$", text, re.M)
    assert bases
    assert all(re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?-slim(-[a-z]+)?", base) for base in bases)
    assert "--require-hashes" in text or re.search(r"'[a-z]+=\d+\.\d+\.\d+\*'", text)
    copied = [name for source in re.findall(r"^COPY (?!--from=)(.+) \S+$", text, re.M) for name in source.split()]
    assert all((ROOT / name).exists() for name in copied)
    sent = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert {name.split("/")[0] for name in copied} <= sent


@pytest.mark.parametrize("service", OURS)
def test_our_processes_are_told_what_they_know(service: str) -> None:
    environment = services()[service]["environment"]
    settings = {name: value for name, value in environment.items() if name.startswith("CONNECT_")}
    assert {name.removeprefix("CONNECT_").lower() for name in settings} <= set(Settings.model_fields)
    Settings(**{name.removeprefix("CONNECT_").lower(): value for name, value in settings.items()})
    of_temporal = {name: value for name, value in environment.items() if name not in settings}
    assert all(name.startswith("TEMPORAL_") for name in of_temporal)
    assert variables_of_temporal(of_temporal) == set(of_temporal)


@pytest.mark.parametrize("service", ["migrate", "api"])
def test_only_workers_are_told_of_the_systems_databases(service: str) -> None:
    of_systems = {"CONNECT_TELEPHONY_DSN", "CONNECT_INTERNET_DSN"}
    assert of_systems <= set(services()["worker"]["environment"])
    assert not of_systems & set(services()[service]["environment"])


def variables_of_temporal(environment: dict[str, str]) -> set[str]:
    """Variables that temporalio.envconfig does not ignore."""

    def profile_of(variables: dict[str, str]) -> dict[str, Any]:
        return dict(ClientConfigProfile.load(disable_file=True, override_env_vars=variables).to_dict())

    without = {name: {n: v for n, v in environment.items() if n != name} for name in environment}
    return {name for name in environment if profile_of(without[name]) != profile_of(environment)}


@pytest.mark.parametrize("service", OURS)
def test_our_commands_exist(service: str) -> None:
    entrypoint = re.search(r'^ENTRYPOINT \["(.+)"\]$', (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    assert entrypoint
    assert f'\n{entrypoint[1]} = "starter.cli.main:main"\n' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group, as it has subcommands
    assert services()[service]["command"][0] in commands


def test_a_worker_is_given_time_to_end_the_work_in_its_hands() -> None:
    patience = int(services()["worker"]["stop_grace_period"].removesuffix("s"))
    assert patience > Settings.model_fields["operation_seconds"].default


def test_no_secret_is_written_down_and_each_has_its_place() -> None:
    assert used_variables() <= set(variables()) | HAVE_DEFAULTS
    secrets = {name for name, value in variables().items() if not value}
    assert set(files_of_secrets().values()) <= secrets
    assert {it["file"] for it in compose()["secrets"].values()} == {f"./secrets/{name}" for name in files_of_secrets()}
    used = {name for it in services().values() for name in it.get("secrets", [])}
    assert used == set(files_of_secrets())
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name in re.findall(r"(\S*(?:PASSWORD|PWD|SECRET)): (?!\$\{[A-Z_]+:\?|/run/secrets/)(.+)", text):
        pytest.fail(f"{name} is not a variable that must be given")


def test_a_new_env_fills_in_every_secret(tmp_path: Path) -> None:
    made = subprocess.run(
        ["sh", ROOT / "deploy/compose/new-env.sh"], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    values = dict(line.split("=", 1) for line in made.stdout.splitlines() if line and not line.startswith("#"))
    assert values.keys() == variables().keys()
    secrets = [values[name] for name, example in variables().items() if not example]
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets), "safe in a URL, and long enough"
    assert len(set(secrets)) == len(secrets)


def files_of_secrets() -> dict[str, str]:
    """Which variable of .env each file has, as deploy/compose/secrets.sh writes them."""
    written = (ROOT / "deploy/compose/secrets.sh").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z-]+) ([A-Z_]+)$", written, re.M))


def test_secrets_are_written_for_the_containers_in_a_folder_of_ones_own(tmp_path: Path) -> None:
    script = [ROOT / "deploy/compose/secrets.sh", tmp_path]
    made = subprocess.run(["sh", ROOT / "deploy/compose/new-env.sh"], capture_output=True, encoding="utf-8", check=True)
    (tmp_path / ".env").write_text(made.stdout, encoding="utf-8")
    for _ in range(2):  # again, after a password was changed
        subprocess.run(script, check=True)
    values = dict(line.split("=", 1) for line in made.stdout.splitlines() if line and not line.startswith("#"))
    folder = tmp_path / "secrets"
    assert {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()} == {
        name: values[variable] for name, variable in files_of_secrets().items()
    }
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600, "every secret is in it"
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o444}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"secrets/", ".env"} <= set(ignored)

    (tmp_path / ".env").write_text(made.stdout.replace("API_TOKEN=", "TOKEN="), encoding="utf-8")
    refused = subprocess.run(script, capture_output=True, encoding="utf-8", check=False)
    assert refused.returncode == 1
    assert "API_TOKEN is not set in .env" in refused.stderr


@pytest.mark.parametrize("system", FOLDERS)
def test_a_system_is_told_what_its_configuration_asks_for(system: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob(FOLDERS[system]))
    variables = set(re.findall(r"^#!defenvs? (\w+)$", text, re.M)) | set(re.findall(r"\$ENV\{(\w+)\}", text))
    assert variables == set(services()[system]["environment"]) - OF_LIBRARIES
    assert all(f"#   {name} " in text for name in variables), "and says what it is"


def test_lines_have_one_domain_everywhere() -> None:
    assert services()["kamailio"]["environment"]["SIP_DOMAIN"] == Settings.model_fields["sip_domain"].default
    assert services()["worker"]["environment"]["CONNECT_SIP_DOMAIN"] == Settings.model_fields["sip_domain"].default


def test_workers_know_the_access_gear_that_freeradius_serves() -> None:
    freeradius = services()["freeradius"]["environment"]
    ((network, nas),) = read_nases(services()["worker"]["environment"]["CONNECT_NAS"]).items()
    assert str(network) == freeradius["RADIUS_CLIENTS"]
    assert nas.secret.get_secret_value() == "filled"
    assert files_of_secrets()["radius-secret"] == "RADIUS_SECRET"


@pytest.mark.parametrize("system", FOLDERS)
def test_no_secret_of_a_daemon_is_in_its_environment_or_in_what_starts_it(system: str) -> None:
    it = services()[system]
    for place in ("environment", "healthcheck"):
        assert "filled" not in str(it[place]), "that stands for a secret"
    started = (ROOT / f"deploy/compose/{system}.sh").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\(secret (.+)\)", started)) == set(it["secrets"])
    assert re.search(
        rf'^ENTRYPOINT \["{system}.sh"\]$', (ROOT / it["build"]["dockerfile"]).read_text(encoding="utf-8"), re.M
    )


def test_workers_ask_kamailio_by_the_name_and_with_the_secret_that_it_takes() -> None:
    worker, kamailio = services()["worker"], services()["kamailio"]
    environment = worker["environment"]
    assert environment["CONNECT_SIP_RPC_URLS"] == f"http://{kamailio['environment']['SIP_RPC_HOST']}/RPC"
    secret = environment["CONNECT_SIP_RPC_SECRET_FILE"].removeprefix("/run/secrets/")
    assert {secret} == set(worker["secrets"]) & set(kamailio["secrets"])
    assert [name for name in OURS if secret in services()[name].get("secrets", [])] == ["worker"]


@pytest.mark.parametrize("script", sorted((ROOT / "deploy/compose").glob("*.sh")), ids=lambda path: path.name)
def test_a_script_can_be_run(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["sh", "-n", script], check=True)


async def test_the_databases_are_made_with_the_roles_that_the_services_use(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", free_port(), "secret", settings={"fsync": "off"})
    server.start()
    try:
        make_databases(server)
        for dsn, question in {
            server.dsn("connect", "connect", "filled"): "CREATE TABLE ours ()",
            server.dsn("temporal", "temporal", "filled"): "CREATE TABLE theirs ()",
            server.dsn("temporal_visibility", "temporal", "filled"): "CREATE TABLE theirs ()",
            server.dsn("kamailio", "sip_prov", "filled"): "SELECT in_service FROM subscriber",
            server.dsn("kamailio", "sip_daemon", "filled"): "SELECT contact FROM location",
            server.dsn("radius", "radius_prov", "filled"): "SELECT revision, acctsessionid FROM connect_fence, radacct",
            server.dsn("radius", "radius_daemon", "filled"): "SELECT value FROM radcheck",
        }.items():
            await fetch(dsn, question)
        await migrate(server.dsn("connect", "connect", "filled"))
        for database, role in (
            ("connect", "sip_prov"),
            ("radius", "sip_daemon"),
            ("kamailio", "temporal"),
            *FOR_NOBODY,
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
                await asyncpg.connect(server.dsn(database, role, "filled"))
    finally:
        server.stop()


def make_databases(server: EmbeddedPostgres) -> None:
    """Run the script as the image does when its volume is new."""
    psql = {"PGHOST": server.host, "PGPORT": str(server.port), "PGPASSWORD": server.password}
    path = f"{installed_wheel() / 'pginstall/bin'}:{os.environ['PATH']}"
    environment = services()["postgres"]["environment"] | psql | {"PATH": path, "DEPLOY": str(ROOT / "deploy")}
    made = subprocess.run(
        [ROOT / "deploy/compose/databases.sh"], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert made.returncode == 0, made.stderr


def test_browsers_reach_temporals_ui_through_our_proxy_alone() -> None:
    assert "ports" not in services()["temporal-ui"]
    proxy = services()["temporal-ui-proxy"]
    python, run, module, port, upstream, address = proxy["entrypoint"]
    assert (python, run, module, address) == ("python", "-m", "starter.local.ui_proxy", "0.0.0.0")
    assert upstream == "temporal-ui:8080"
    assert [published.split(":")[-1] for published in proxy["ports"]] == [port]
    assert proxy["command"] == [services()["api"]["environment"]["CONNECT_TEMPORAL_UI_URL"]]


def test_temporals_http_api_answers_to_no_host() -> None:
    text = (ROOT / "deploy/compose/temporal.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["frontend.httpAllowedHosts"] == [{"value": [], "constraints": {}}]
    assert "frontend.httpAllowedHosts=[]" in OPTIONS, "as the tests of a page of another site have it"


def test_no_workflow_says_to_temporal_who_calls_by_nexus() -> None:
    settings = yaml.safe_load((ROOT / "deploy/compose/temporal.yaml").read_text(encoding="utf-8"))
    for option in NO_FORGED_LINKS:
        assert option in OPTIONS, "as the tests of callers by Nexus have it"
        name = option.partition("=")[0]
        assert settings[name] == [{"value": [*DISALLOWED_HEADERS], "constraints": {}}]
