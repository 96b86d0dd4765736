"""Whose hold a form offers to lift: a source is one, however it is written."""

import pytest

from starter.console.forms.action import ActionForm
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import BoundForm
from starter.console.rendering import Form
from starter.contract.catalogue import ONLY_BUILT_IN
from tests.support.builders import NOW, in_directory, tenant
from workflows.domain.lifecycle import Status
from workflows.wire.views import ClientView


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["billing"]),
        ("billing", ["billing"]),
        ("BILLING", ["billing"]),
        ("All", ["billing"]),
        ("security", ["billing", "security"]),
    ],
)
def test_a_source_is_offered_once_and_the_word_for_every_one_is_none(typed: str, offered: list[str]) -> None:
    client = ClientView.of(in_directory(tenant(Status.SUSPENDED)), NOW)
    form = Form([("action", "unsuspend"), ("source", typed)])
    action = ActionForm.of(client, BoundForm(form, FormErrors()), ONLY_BUILT_IN)
    assert action
    assert [source for source, _ in action.sources] == offered
