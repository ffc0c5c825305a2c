"""Titles in the sentences of findings: a record has networks by name, a page by what they are
called.
"""

import re

from overpaint.study import Study

NAME = r"([A-Za-z0-9_-]+(?:\.\d+)?(?:\.init)?)"

FRAMES = tuple(
    re.compile(pattern.replace("NAME", NAME))
    for pattern in (
        r"NAME → NAME",
        r"NAME and NAME",
        r"NAME against NAME",
        r"NAME, NAME and their start NAME",
        r"NAME, of .*",  # what follows is a dataset, which may have the name of a network
        r"the parent is NAME",
        r".*\bof what NAME knows\b.*",
    )
)
"""Where `overpaint.findings` names networks; elsewhere a word is a word."""


def titled(study: Study, text: str) -> str:
    """What a finding is put to, or its remark, with networks as they are called.

    >>> study = Study.model_validate({"study": "s", "networks": {
    ...     "a": {"load": "inception_v1", "title": "as loaded"}, "b": {"load": "inception_v1"}}})
    >>> titled(study, "a → b"), titled(study, "b, of a"), titled(study, "with a ruler")
    ('as loaded → b', 'b, of a', 'with a ruler')
    """
    return "; ".join(_titled_part(study, part) for part in text.split("; "))


def _titled_part(study: Study, text: str) -> str:
    for frame in FRAMES:
        if match := frame.fullmatch(text):
            for number in range(len(match.groups()), 0, -1):
                start, end = match.span(number)
                text = f"{text[:start]}{study.title_of(match[number])}{text[end:]}"
            return text
    return text
