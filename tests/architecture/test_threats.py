"""Each sentence of SECURITY.md about who can do what has a test, or stands here as advice or as what is open."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.architecture.compose import ROOT

ADVICE = ("advice to whoever runs it",)
OPEN = ("it says what is open: nothing keeps anybody from it",)

GUESSES, SIP = "tests/starter/web/test_guesses.py", "tests/systems/test_guessing.py"
ROLES, TOKENS = "tests/starter/web/test_roles.py", "tests/starter/api/test_tokens.py"
SITES, NAMES = "tests/starter/test_sites_of_callers.py", "tests/starter/web/test_names.py"
HTTP, UI = "tests/starter/web/test_http_server.py", "tests/browser/test_temporal_ui.py"
SAFETY, PAGES = "tests/starter/console/test_safety.py", "tests/browser/test_other_pages.py"
FOLDER, OTHER_USER = "tests/starter/local/test_data_folder.py", "tests/systems/test_other_user.py"
STRANGERS, HOSTILE = "tests/systems/test_strangers.py", "tests/faults/test_hostile_text.py"
SENDING = "tests/activities/webhooks/test_sending.py"
OPENID, SIGN_IN = "tests/starter/web/test_openid.py", "tests/starter/console/test_openid.py"
PROVIDER = "tests/starter/web/test_provider.py"
JSON, FORGED = "tests/activities/json_http/test_adapter.py", "tests/systems/test_forged_answers.py"
NEXUS, PERMITTED = "tests/starter/nexus/test_nexus.py", "tests/starter/nexus/test_permitted.py"
PROBE, ENCRYPTION = "tests/activities/internet/test_radius_probe.py", "tests/starter/test_encryption.py"

TESTS: dict[str, tuple[str, ...]] = {
    # somebody on the network
    "Of `connect up`, reaches": (
        "tests/systems/test_listening.py::test_every_listening_socket_is_on_loopback_and_stands_in_security_md",
    ),
    "Of a deployment: what": (
        "tests/architecture/test_compose_hardened.py::"
        "test_only_this_machine_reaches_what_is_published_unless_it_is_told_otherwise",
    ),
    "Without a token sees": (f"{SAFETY}::test_nothing_is_served_without_signing_in_but_what_is_listed",),
    "Guesses: after ten": (
        f"{GUESSES}::test_after_ten_wrong_tokens_from_an_address_the_next_is_told_to_wait",
        f"{GUESSES}::test_right_tokens_from_the_same_address_go_on",
        f"{GUESSES}::test_of_ipv6_it_is_the_network_that_waits",
        f"{GUESSES}::test_guesses_are_counted_together_wherever_they_are_sent",
    ),
    "A guesser learns so": (
        "tests/starter/web/test_callers.py::test_a_token_can_be_found_by_scanners_and_by_nobody_who_guesses",
    ),
    "The log says from where": (f"{GUESSES}::test_logs_say_where_guesses_come_from_and_never_which",),
    "Half-sent requests: 10": (
        f"{HTTP}::test_half_a_request_is_not_waited_for_however_slowly_it_goes_on",
        f"{HTTP}::test_half_a_body_is_told_that_it_is_late",
        f"{HTTP}::test_an_answer_that_nobody_reads_is_given_up",
        f"{HTTP}::test_who_kept_us_waiting_longest_makes_room_for_others",
    ),
    "Whoever reads a few": (f"{HTTP}::test_when_we_work_for_all_of_them_a_new_one_is_told_so",),
    "Passwords of telephones: ten": (
        f"{SIP}::test_three_hundred_guesses_are_ten_and_lock_out_nobody_else",
        f"{SIP}::test_who_tries_many_numbers_is_cut_and_telephones_behind_the_same_address_go_on",
        f"{SIP}::test_sipvicious_guesses_no_password_and_a_telephone_goes_on_meanwhile",
    ),
    "Of routers' accounts: the": (
        f"{SIP}::test_two_hundred_guesses_at_an_account_are_a_few_and_lock_out_no_other_device",
    ),
    "Who shares the address, or": (f"{SIP}::test_nobody_uses_up_the_guesses_of_an_address_that_is_not_theirs",),
    "A guesser with many": OPEN,
    "A number that answers": (
        f"{SIP}::test_three_hundred_guesses_are_ten_and_lock_out_nobody_else",
        f"{SIP}::test_sipvicious_tells_no_line_that_there_is_from_one_that_there_is_not",
    ),
    "The limits are in memory": OPEN,
    "Floods of SIP are": (f"{SIP}::test_an_address_that_floods_is_not_heard_and_others_are",),
    "RADIUS is signed both": (
        f"{SIP}::test_a_login_that_is_not_signed_is_not_answered",
        f"{FORGED}::test_what_he_forges_is_no_evidence",
        f"{PROBE}::test_an_answer_that_is_not_signed_is_no_evidence",
    ),
    "`RADIUS_MESSAGE_AUTHENTICATOR=no` and": (
        f"{PROBE}::test_a_server_that_cannot_sign_is_believed_where_an_operator_says_so",
        f"{FORGED}::test_gear_that_cannot_sign_is_answered_unless_its_request_is_open_to_the_forgery",
    ),
    "Calls from the gateway": OPEN,
    # another user of the machine
    "Can use Temporal's development": (f"{OTHER_USER}::test_another_account_of_the_machine_gets_nothing_but_temporal",),
    "It has no passwords": OPEN,
    "**Run `connect up` only": (
        "tests/starter/test_tls_inside.py::test_with_the_right_certificates_temporal_is_asked",
        "tests/starter/test_tls_inside.py::test_what_is_wrong_with_temporal_is_said_with_its_settings",
    ),
    "Cannot read the data folder": (
        f"{OTHER_USER}::test_another_account_of_the_machine_gets_nothing_but_temporal",
        f"{FOLDER}::test_another_user_can_read_nothing_of_ours",
    ),
    "Cannot prepare a data folder": (
        f"{FOLDER}::test_a_folder_that_another_user_made_with_a_token_of_his_is_refused",
        f"{FOLDER}::test_a_file_that_others_could_write_to_is_refused",
        f"{FOLDER}::test_a_link_in_the_place_of_a_secret_is_refused",
        f"{FOLDER}::test_a_folder_that_somebody_could_exchange_is_refused",
    ),
    "A folder above it": OPEN,
    "While PostgreSQL or Kamailio": OPEN,
    "What that opens is": (
        "tests/starter/local/test_postgres.py::test_the_superusers_password_is_the_one_of_the_last_start",
    ),
    "Sees, as any user": (
        "tests/systems/test_up.py::test_no_secret_is_in_an_environment_or_argument_of_what_does_not_need_it",
    ),
    "Can read, in Temporal": (
        "tests/workflows/test_visibility.py::test_nothing_personal_is_in_ids_attributes_summaries_or_details",
    ),
    "Names, reasons, notes": (f"{ENCRYPTION}::test_the_history_of_a_life_says_nothing_in_the_clear",),
    "Generated ids say nothing": (
        "tests/starter/test_boundary.py::test_every_key_gives_an_id_that_a_client_can_have_and_that_can_be_read_out",
    ),
    # workflows of another namespace
    "Commands clients by a Nexus": (
        f"{PERMITTED}::test_by_default_a_namespace_places_and_lifts_its_own_holds_and_nothing_else",
        f"{PERMITTED}::test_a_viewer_only_views_and_only_its_sites",
    ),
    "An operation that brings": (
        f"{NEXUS}::test_no_workflow_poses_as_another_namespace",
        "tests/architecture/test_compose.py::test_no_workflow_says_to_temporal_who_calls_by_nexus",
    ),
    "By a Temporal that is": OPEN,
    # a page in a browser
    "A page that has its own": (
        f"{PAGES}::test_a_name_that_comes_to_lead_to_us_reads_nothing",
        f"{UI}::test_a_page_whose_name_points_at_loopback_reads_nothing_and_does_nothing",
        f"{NAMES}::test_nothing_is_answered_under_a_name_that_is_not_ours",
    ),
    "A page that sends": (
        f"{PAGES}::test_a_page_of_another_origin_cannot_change_anything",
        f"{SAFETY}::test_no_route_takes_a_change_from_another_page",
        f"{SAFETY}::test_what_another_page_sends_to_sign_in_is_not_counted",
    ),
    "Another port of the same": (f"{PAGES}::test_a_page_of_another_origin_cannot_change_anything",),
    "Temporal's HTTP API and": (
        f"{UI}::test_a_page_of_another_site_cannot_place_a_hold",
        f"{STRANGERS}::test_a_page_that_knows_the_path_is_refused_all_the_same",
    ),
    "Temporal's metrics port": OPEN,
    "**Cookies know no ports**": OPEN,
    "Behind TLS the cookie": (
        f"{NAMES}::test_behind_tls_the_cookie_is_for_this_host_and_tls_alone",
        f"{NAMES}::test_a_session_begun_without_tls_is_nothing_behind_it",
    ),
    # a hostile system
    "Its words: at most": (
        f"{HOSTILE}::test_a_trigger_that_raises_five_megabytes_is_told_in_five_hundred_characters",
        f"{JSON}::test_a_hostile_answer_fails_the_attempt_with_a_short_clean_text",
        f"{PROBE}::test_what_a_server_says_is_cut_and_cleaned",
    ),
    "It can neither fill": (f"{HOSTILE}::test_no_adapter_can_fill_a_history",),
    "Its answers: only lines": (
        f"{JSON}::test_a_hostile_refusal_is_a_short_clean_finding_and_what_was_not_asked_is_not_kept",
        f"{JSON}::test_a_late_attempt_of_an_older_revision_is_refused",
    ),
    "It can lie about": (f"{JSON}::test_a_yes_is_not_a_proof",),
    "What is proven is": ("tests/systems/test_statuses.py::test_every_status_is_what_the_servers_do",),
    "It learns what it": (f"{JSON}::test_secrets_travel_only_for_new_and_rotated_lines",),
    # a viewer's token
    "Reads clients, sites": (f"{ROLES}::test_each_role_gets_as_far_as_the_table_says_on_every_route",),
    "With a token of some": (
        f"{SITES}::test_what_there_is_at_another_site_changes_no_answer",
        f"{SITES}::test_a_stream_tells_of_its_own_sites_alone",
        f"{SITES}::test_streams_of_events_and_who_waits_for_one_hear_of_their_own_sites_alone",
        "tests/starter/test_same_work.py::test_what_is_hidden_takes_the_same_work_as_what_is_not_there",
    ),
    "What is unique in": (f"{SITES}::test_what_is_taken_is_said_without_whose_it_is",),
    "Shared systems that serve": (f"{SITES}::test_errors_of_shared_systems_are_not_told",),
    "Can tell how much happens": OPEN,
    "Cannot name somebody else": (f"{TOKENS}::test_the_history_says_whose_token_it_was_whatever_the_body_says",),
    # a stolen service token
    "As a viewer; and": (f"{TOKENS}::test_a_service_places_and_lifts_its_own_holds_alone",),
    "Places, lifts and cancels": (
        f"{TOKENS}::test_a_service_places_and_lifts_its_own_holds_alone",
        f"{TOKENS}::test_a_service_cancels_and_replaces_its_own_plans_alone",
        "tests/starter/test_permitted.py::test_an_operators_plan_that_comes_in_between_is_neither_cancelled_nor_replaced",
    ),
    "Until the token is": (
        f"{TOKENS}::test_a_token_ends_when_it_is_revoked_here_at_once_and_elsewhere_soon",
        f"{TOKENS}::test_a_session_has_the_tokens_name_and_role_and_ends_with_it",
        "tests/starter/api/test_events.py::test_a_stream_ends_with_the_token_that_began_it",
        "tests/starter/api/test_events.py::"
        "test_who_waits_for_an_event_with_a_token_that_is_revoked_meanwhile_is_told_nothing",
    ),
    "Give services the sites": ADVICE,
    "Tokens of the API": (
        f"{TOKENS}::test_a_token_is_shown_once_and_kept_as_its_digest",
        "tests/starter/web/test_callers.py::test_a_checksum_finds_every_mistyped_letter",
    ),
    "Whoever reads the database": (f"{TOKENS}::test_a_token_is_shown_once_and_kept_as_its_digest",),
    # a token of the OpenID provider's
    "With a good one can": (
        f"{OPENID}::test_a_good_token_is_its_callers",
        f"{OPENID}::test_a_token_is_let_in_as_far_as_its_role_goes",
    ),
    "Without a role there": (f"{OPENID}::test_who_has_no_role_is_told_how_to_get_one",),
    "A token that is expired": (
        f"{OPENID}::test_a_token_that_breaks_a_rule_is_nobodys",
        f"{OPENID}::test_only_listed_algorithms_get_as_far_as_a_key",
    ),
    "`tests/starter/web/test_openid.py` tries": (f"{OPENID}::test_a_token_that_breaks_a_rule_is_nobodys",),
    "One of the provider's own": (f"{OPENID}::test_a_token_of_the_providers_own_that_has_expired_is_no_guess",),
    "Made-up keys have": (
        f"{PROVIDER}::test_a_flood_of_made_up_keys_asks_the_provider_once",
        f"{PROVIDER}::test_a_provider_that_is_away_turns_no_known_key_bad",
    ),
    "A key that the provider": (f"{PROVIDER}::test_a_new_key_is_found_and_one_that_was_withdrawn_counts_no_longer",),
    "A sign-in is of the browser": (
        f"{SIGN_IN}::test_a_code_that_somebody_else_was_given_leads_nowhere",
        f"{SIGN_IN}::test_nobody_is_led_elsewhere",
    ),
    "After ten that the provider": (f"{SIGN_IN}::test_a_stranger_who_replays_a_sign_in_of_its_own_waits",),
    "Who shares the address waits": (f"{SIGN_IN}::test_a_stranger_who_replays_a_sign_in_of_its_own_waits",),
    "Cannot take the name": (
        f"{OPENID}::test_the_name_is_one_that_nobody_else_can_have",
        f"{SIGN_IN}::test_nobody_takes_a_name_that_others_vouch_for",
    ),
    "Who can choose the claim": OPEN,
    "As an admin makes no API token": (f"{SIGN_IN}::test_tokens_that_are_made_by_who_signed_in_there_end",),
    "Until then it outlasts": OPEN,
    "**The provider is trusted**": OPEN,
    "Webhooks outlive the token": (
        "tests/starter/api/test_webhooks.py::test_webhooks_are_the_installations_and_go_on_without_who_added_them",
    ),
    "They receive ids": (
        "tests/activities/webhooks/test_webhooks.py::"
        "test_every_event_is_told_in_order_for_each_client_as_a_signed_cloud_event",
        "tests/architecture/test_asyncapi.py::test_what_is_sent_is_what_the_document_says",
    ),
    "They reach no address": (
        f"{SENDING}::test_nothing_is_sent_inside",
        f"{SENDING}::test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_says_a_moment_later",
        f"{SENDING}::test_a_network_that_is_named_is_allowed_in_every_spelling_and_no_other",
        f"{SENDING}::test_a_redirect_is_not_followed_and_a_silent_receiver_not_waited_for",
    ),
    # the token of the settings
    "Can do everything, and": (f"{ROLES}::test_each_role_gets_as_far_as_the_table_says_on_every_route",),
    "Bounded are bodies (64": (
        "tests/starter/api/test_bad_input.py::test_a_body_over_64_kib_is_malformed_and_the_next_request_is_answered",
        "tests/starter/api/test_many_lines.py::"
        "test_more_than_five_hundred_in_one_change_are_refused_with_field_rule_and_remedy",
        "tests/starter/api/test_bad_input.py::test_however_many_fields_are_wrong_the_answer_is_short",
    ),
    "What callers send stands": (
        f"{ENCRYPTION}::test_the_history_of_a_life_says_nothing_in_the_clear",
        f"{SIGN_IN}::test_the_log_says_how_and_in_which_role_somebody_signed_in_and_not_who",
        "tests/activities/test_log.py::test_what_an_error_quotes_of_the_input_is_not_logged",
        "tests/starter/web/test_access.py::test_nothing_of_a_path_or_method_that_a_stranger_made_up_is_in_the_log",
        "tests/starter/web/test_access.py::test_a_line_has_the_route_and_the_id_of_a_client_that_there_is",
    ),
}
"""How each sentence begins, and the tests of it."""


def sentences(*sections: str) -> Iterator[str]:
    """All that SECURITY.md says in these sections, the rows of tables with a bar between their cells."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for section in sections:
        part = text.split(f"## {section}\n")[1].split("\n## ")[0]
        for block in re.split(r"\n(?=- |\n|#|\|)", part):
            line = " ".join(block.split()).removeprefix("- ")
            if line.startswith("|"):
                yield line.strip("| ")
            elif line and not line.startswith("#"):
                yield from re.split(r"(?<=[.!?])\s+(?=[A-Z*`])", line)


def unclaimed(said: Iterable[str], tests: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The sentences that no entry of ``tests`` begins, or several, with those; and the entries that begin none."""
    begun = {sentence: [it for it in tests if sentence.startswith(it)] for sentence in said}
    assert len(begun) > 20
    unsaid = set(tests) - {it for found in begun.values() for it in found}
    return {sentence: found for sentence, found in begun.items() if len(found) != 1} | {it: [] for it in unsaid}


def missing(named: Iterable[Sequence[str]]) -> list[str]:
    """The tests that are named and that there are not."""
    gone = []
    for test in {test for tests in named if tests not in (ADVICE, OPEN) for test in tests}:
        path, _, name = test.partition("::")
        file = ROOT / path
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if not re.search(rf"^(async )?def {name}\(", text, re.MULTILINE):
            gone.append(test)
    return gone


def test_each_sentence_about_who_can_do_what_has_a_test() -> None:
    assert not unclaimed(sentences("Who can do what"), TESTS), "name its tests here"


def test_the_tests_that_are_named_are_there() -> None:
    assert not missing(TESTS.values())
