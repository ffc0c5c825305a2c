"""Asked: how a study says which causes it looks for.

>>> from overpaint.study import read_study
>>> study = read_study("demo", ["causes=[rewind, probe]"])
>>> asks_for(study, "rewind"), asks_for(study, "between")
(True, False)
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, get_args

from pydantic import BeforeValidator

from overpaint.errors import nearest

Cause = Literal["rewind", "between", "forgetting", "probe", "concepts"]

CAUSES: tuple[Cause, ...] = get_args(Cause)


class Asking(Protocol):
    """What of a study says which causes it asks for: a Study does."""

    @property
    def causes(self) -> bool | Sequence[str] | None: ...


def _said(value: object) -> object:
    """What a study says of its causes, as it is; a ValueError where that is none of them."""
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError(f"is to be true, false or a list of {', '.join(CAUSES)}")
    for word in value:
        if word not in CAUSES:
            raise ValueError(f"there is no cause {word!r}; {nearest(word, CAUSES)}")
        if value.count(word) > 1:
            raise ValueError(f"{word!r} stands twice")
    if not value:
        raise ValueError("an empty list: say false to look for none")
    return list(value)


Causes = Annotated[bool | list[Cause] | None, BeforeValidator(_said)]
"""All, none, some, or, where nothing is said, those that cost little beside the trainings."""


def asks_for(study: Asking, cause: Cause) -> bool | None:
    """Whether a study asks for a cause; None where it leaves that to what it costs."""
    causes = study.causes
    return causes if causes is None or isinstance(causes, bool) else cause in causes
