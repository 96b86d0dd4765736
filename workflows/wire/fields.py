"""The fields of messages, by what they may hold. How each is written is the grammar's (workflows/wire/grammar.py)."""

from typing import Annotated

from pydantic import Field, StringConstraints

from workflows.domain.client.rules import LONGEST_BILLING_REF, LONGEST_NAME
from workflows.domain.journal import LONGEST_TEXT
from workflows.domain.services import Setting
from workflows.wire.grammar import (
    KIND,
    LINE,
    NEEDED_PROSE,
    OPTIONAL_LINE,
    PROSE,
    SERVICE,
    SETTING,
    VISIBLE,
    Number,
)

MOST = 500  # lines or offices in one change; a client has at most MOST_LINES (workflows/domain/services.py)

Office = Annotated[str, StringConstraints(min_length=1, max_length=64), LINE, Field(examples=["3.12"])]
Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=VISIBLE), LINE]
BillingRef = Annotated[str, StringConstraints(max_length=LONGEST_BILLING_REF, strip_whitespace=True), OPTIONAL_LINE]
KindName = Annotated[str, StringConstraints(pattern=KIND), Field(examples=["doors"])]
ServiceName = Annotated[
    str,
    StringConstraints(min_length=3, max_length=100, pattern=SERVICE),
    LINE,
    Field(description="A service of a further kind, as kind:name", examples=["doors:main-entrance"]),
]
ForeignText = Annotated[str, StringConstraints(max_length=500)]
"""What another system said: it is shown with marks for what cannot be seen, never refused."""
ShortText = Annotated[ForeignText, PROSE]
SubjectName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Label = Annotated[str, LINE]
Tags = Annotated[list[Label], Field(max_length=MOST)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=VISIBLE), NEEDED_PROSE]
NoteText = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=VISIBLE), NEEDED_PROSE]
Seconds = Annotated[Number, Field(ge=1, le=86400, allow_inf_nan=False)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True), LINE]
ZoneName = Annotated[str, StringConstraints(max_length=64), LINE]
PlanName = Annotated[str, StringConstraints(min_length=1, max_length=200), LINE]
MatterName = Annotated[str, StringConstraints(min_length=1, max_length=220), LINE]
CommandId = Annotated[str, StringConstraints(max_length=200), OPTIONAL_LINE]
SettingName = Annotated[str, LINE]
SettingValue = Annotated[Setting, SETTING]
