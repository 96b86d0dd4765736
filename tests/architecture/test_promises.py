"""Each row and sentence of SECURITY.md about what listens, about secrets and about what is left has a test, or stands
here as advice or as what is open. (test_threats.py has those about who can do what.)"""

from tests.architecture.test_threats import (
    ADVICE,
    ENCRYPTION,
    FOLDER,
    NAMES,
    NEXUS,
    OPEN,
    OPENID,
    OTHER_USER,
    SAFETY,
    SIGN_IN,
    SIP,
    STRANGERS,
    TOKENS,
    UI,
    missing,
    sentences,
    unclaimed,
)

SECTIONS = (
    "What listens",
    "Secrets: what they are, where they lie, how long they last",
    "Duties of whoever runs it",
    "What is not protected",
)
HEADINGS = ("the head of a table",)

COMPOSE, HARDENED = "tests/architecture/test_compose.py", "tests/architecture/test_compose_hardened.py"
DATABASES, UP = "tests/starter/local/test_databases.py", "tests/systems/test_up.py"
KEYS, OPERATOR = "tests/activities/keys/test_client_keys.py", "tests/activities/keys/test_operator_keys.py"
SESSIONS, FEED = "tests/starter/console/test_sessions.py", "tests/starter/console/test_calendar_feed.py"
ERASING, TLS_INSIDE = "tests/starter/test_erasing.py", "tests/starter/test_tls_inside.py"
LISTENING = "tests/systems/test_listening.py::test_every_listening_socket_is_on_loopback_and_stands_in_security_md"
NO_SECRET = f"{UP}::test_no_secret_is_in_an_environment_or_argument_of_what_does_not_need_it"
DERIVED = "tests/activities/test_secrets.py::test_a_secret_is_the_same_for_ever"

TESTS: dict[str, tuple[str, ...]] = {
    "part | protocol | port": HEADINGS,
    "secret | what it opens": HEADINGS,
    "--- | --- | --- | ---": HEADINGS,
    # what listens
    "`connect up --systems --demo` opens": (LISTENING,),
    "Without `--systems` there": (LISTENING,),
    "A number in brackets": (LISTENING,),
    "The API | tcp": (f"{SAFETY}::test_nothing_is_served_without_signing_in_but_what_is_listed",),
    "The Temporal UI | tcp": (f"{UI}::test_the_ui_answers_to_loopback_names_and_its_own_pages",),
    "Temporal | tcp | `--temporal-port`": (
        f"{OTHER_USER}::test_another_account_of_the_machine_gets_nothing_but_temporal",
    ),
    "Temporal | tcp | random (6)": (
        f"{UI}::test_temporal_listens_on_loopback_alone_and_its_ui_where_nobody_looks",
        f"{COMPOSE}::test_temporals_http_api_answers_to_no_host",
    ),
    "PostgreSQL | tcp": (
        f"{DATABASES}::test_a_role_can_connect_to_the_database_it_works_in_and_to_no_other",
        f"{DATABASES}::test_while_it_runs_no_password_lets_the_superuser_in",
    ),
    "Kamailio | udp": (f"{SIP}::test_three_hundred_guesses_are_ten_and_lock_out_nobody_else",),
    "Kamailio | tcp": (
        f"{STRANGERS}::test_who_does_not_know_the_path_finds_nothing",
        f"{STRANGERS}::test_who_knows_the_path_gets_no_other_method_however_it_is_written",
        f"{STRANGERS}::test_a_page_that_knows_the_path_is_refused_all_the_same",
    ),
    "FreeRADIUS | udp | `--radius-port`": (f"{SIP}::test_a_login_that_is_not_signed_is_not_answered",),
    "FreeRADIUS | udp | the one after it": (LISTENING,),
    "The doors | tcp": ("tests/starter/local/test_doors.py::test_what_is_not_of_the_protocol_is_refused_with_why",),
    "`docker-compose.yml` publishes": (
        f"{HARDENED}::test_only_this_machine_reaches_what_is_published_unless_it_is_told_otherwise",
        f"{HARDENED}::test_who_reaches_whom",
    ),
    # secrets
    "token | the API, and": (
        f"{FOLDER}::test_secrets_stay_from_one_start_to_the_next",
        "tests/starter/console/test_kept.py::test_another_token_ends_every_session",
        f"{FEED}::test_nobody_else_learns_that_there_is_one",
    ),
    "API token | what": (f"{TOKENS}::test_a_token_is_shown_once_and_kept_as_its_digest",),
    "sign-in link | one": (
        f"{SESSIONS}::test_the_key_of_a_link_stays_in_no_address",
        f"{SAFETY}::test_a_link_is_no_good_when_it_is_old_or_made_up",
    ),
    "session (cookie) |": (
        f"{NAMES}::test_a_session_begun_without_tls_is_nothing_behind_it",
        f"{SESSIONS}::test_a_stream_ends_when_its_session_is_ended_in_another_process",
    ),
    "token of the OpenID provider |": (f"{OPENID}::test_a_token_is_let_in_as_far_as_its_role_goes",),
    "session of the OpenID provider's |": (
        f"{SIGN_IN}::test_a_session_ends_soon_and_is_of_the_role_that_the_provider_gave",
    ),
    "the console's secret at the provider |": (
        f"{SIGN_IN}::test_the_console_shows_its_secret_as_the_provider_takes_it",
    ),
    "calendar address |": (
        f"{FEED}::test_whoever_has_the_address_reads_what_is_planned_at_its_site",
        f"{FEED}::test_the_address_of_one_calendar_opens_no_other",
        f"{SIGN_IN}::test_nothing_that_lasts_longer_is_made_of_such_a_session",
    ),
    "master key |": (DERIVED, f"{FOLDER}::test_a_lost_master_key_is_not_silently_replaced"),
    "encryption keys |": (
        f"{KEYS}::test_rotation_brings_all_keys_under_the_newer_one",
        f"{DATABASES}::test_keys_that_do_not_open_the_clients_are_said_before_anything_starts",
    ),
    "key of a client |": (
        f"{OPERATOR}::test_a_key_opens_what_it_was_used_for_and_nothing_else",
        f"{KEYS}::test_a_destroyed_key_is_gone_and_never_made_again",
        f"{KEYS}::test_a_process_reads_a_key_anew_after_a_while",
    ),
    "secret of a webhook |": (
        "tests/starter/api/test_webhooks.py::test_a_rotated_secret_is_shown_once_and_is_another",
        "tests/activities/webhooks/test_webhooks.py::test_after_a_rotation_either_secret_verifies_for_a_day",
    ),
    "RADIUS secret |": (NO_SECRET,),
    "path of JSON-RPC |": (f"{STRANGERS}::test_who_does_not_know_the_path_finds_nothing",),
    "token of the doors |": (
        "tests/starter/local/test_doors.py::test_what_is_not_of_the_protocol_is_refused_with_why",
    ),
    "databases' passwords |": (
        f"{DATABASES}::test_a_roles_password_opens_no_other_role",
        f"{DATABASES}::test_other_passwords_and_superfluous_rights_are_gone_after_a_start",
    ),
    "Idempotency-Key |": (
        f"{ENCRYPTION}::test_the_history_of_a_life_says_nothing_in_the_clear",
        f"{ERASING}::test_an_erased_client_leaves_ids_times_and_proofs",
    ),
    "Files are for their owner": (f"{FOLDER}::test_a_new_folder_is_private_and_so_are_its_secrets",),
    "No secret is in an argument": (NO_SECRET, f"{HARDENED}::test_only_who_needs_a_secret_has_it"),
    "Roles have the least rights": (
        f"{DATABASES}::test_no_role_can_do_what_a_superuser_can",
        f"{DATABASES}::test_a_role_can_do_nothing_in_its_database_that_it_does_not_need",
    ),
    # duties
    "**The data folder is everything**": ADVICE,
    "Started as an ordinary user": (
        "tests/starter/local/test_postgres.py::test_an_ordinary_user_runs_it_as_himself",
        "tests/starter/local/test_postgres.py::test_root_has_it_run_as_an_account_of_its_own",
        "tests/starter/local/test_systems.py::test_a_daemon_whose_account_is_not_there_does_not_run_as_another",
    ),
    "Prefer the first": ADVICE,
    "**A proxy in front** ends": (
        f"{NAMES}::test_only_a_named_proxy_says_that_there_is_tls",
        "tests/starter/web/test_http_server.py::test_what_follows_a_body_is_no_header",
    ),
    "Browsers then hear": ("tests/starter/web/test_tls.py::test_with_a_certificate_the_api_speaks_tls",),
    "Limits by address are": ADVICE,
    "Whoever publishes the Temporal UI": ADVICE,
    "**Temporal** in a deployment": (f"{TLS_INSIDE}::test_with_the_right_certificates_temporal_is_asked",),
    "**A Nexus endpoint** to": (f"{NEXUS}::test_no_workflow_poses_as_another_namespace",),
    "Make none that nobody": ADVICE,
    "**A Temporal of your own**": (f"{COMPOSE}::test_no_workflow_says_to_temporal_who_calls_by_nexus",),
    "Where it cannot be set": ADVICE,
    "**Databases of your own**": ADVICE,
    "**A worker with canaries": (f"{HARDENED}::test_only_who_needs_a_secret_has_it",),
    "A worker can do all": OPEN,
    "**JSON-RPC is not encrypted**": ADVICE,
    "Whoever has its path": (f"{STRANGERS}::test_who_knows_the_path_gets_no_other_method_however_it_is_written",),
    "**Whoever holds the RADIUS": OPEN,
    "In compose the worker": ADVICE,
    "**A Kamailio of your own**": ADVICE,
    "**A FreeRADIUS of your own**": ADVICE,
    "**Images** are named": (f"{COMPOSE}::test_images_are_exact_versions",),
    "Their file says how": ADVICE,
    "`make audit` asks": ("tests/ci/test_audit.py::test_an_audit_leaves_with_what_the_list_says",),
    "**After an update from": ADVICE,
    "Who had the old": OPEN,
    # what is not protected
    "Logs have the ids": (
        "tests/starter/web/test_access.py::test_nothing_of_a_path_or_method_that_a_stranger_made_up_is_in_the_log",
    ),
    "A backup of the directory": (f"{ERASING}::test_a_backup_from_before_says_nothing_with_todays_keys",),
    "PostgreSQL's own files": OPEN,
    "Systems keep what": OPEN,
    "An older backup of": OPEN,
    "A process that has": (f"{KEYS}::test_a_process_reads_a_key_anew_after_a_while",),
    "In rare cases a client": OPEN,
    "Nothing accepted is lost": (
        "tests/faults/test_kills.py::test_whatever_is_killed_each_command_is_done_once_and_only_if_it_was_accepted",
    ),
    "A workflow that somebody": OPEN,
    "Logs hold at most": (
        "tests/starter/local/test_supervisor.py::test_a_log_that_became_too_long_is_put_aside",
        "tests/starter/local/test_supervisor.py::test_a_log_is_put_aside_while_its_writer_goes_on",
    ),
}
"""How each row and sentence begins, and the tests of it."""


def test_each_promise_has_a_test() -> None:
    assert not unclaimed(sentences(*SECTIONS), TESTS), "name its tests here"


def test_the_tests_that_are_named_are_there() -> None:
    assert not missing(it for it in TESTS.values() if it != HEADINGS)
