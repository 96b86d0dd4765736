"""Change a copy, and take it over when all went well: an exception half way through leaves nothing half changed."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def copy_of(state: T) -> T:
    """A copy to change. What changes in place is copied; frozen values, and what is in lists, are shared."""
    match state:
        case dict():
            return {name: copy_of(value) for name, value in state.items()}  # type: ignore[return-value]  # a dict of the same
        case list():
            return list(state)  # type: ignore[return-value]  # a list of the same
    parameters = getattr(state, "__dataclass_params__", None)
    if parameters is None or parameters.frozen:
        return state
    trial = copy.copy(state)
    vars(trial).update({name: copy_of(value) for name, value in vars(state).items()})
    return trial


@contextmanager
def all_or_nothing(state: T) -> Iterator[T]:
    """A copy to change, which takes the state's place at the end of the block, unless that raises."""
    trial = copy_of(state)
    yield trial
    vars(state).update(vars(trial))
