"""A training looks at its loss without waiting, and still says at which step it went wrong."""

import math

import numpy as np
import pytest
import torch

import overpaint.training.looks
from overpaint.device import Fetched
from overpaint.training.looks import Looks


class Late(Fetched):
    """What has not arrived when it is asked for."""

    here = False


@pytest.fixture
def late(monkeypatch):
    monkeypatch.setattr(
        overpaint.training.looks, "fetch", lambda tensor: Late(tensor=tensor.clone())
    )


def test_on_a_cpu_a_look_sees_what_it_asks_for():
    """Where nothing has to come from elsewhere, the last loss is known at once."""
    looks = Looks()
    assert looks.look([torch.tensor(2.0)]) is None
    assert looks.last == 2.0
    assert looks.look([torch.tensor(2.0), torch.tensor(math.inf)]) == (1, math.inf)


@pytest.mark.parametrize("bad", range(25))
def test_a_late_answer_names_the_right_batch(late, bad):
    """Looked at every ten batches, the first bad one is named by the look after at the latest."""
    losses, answers = [], {}
    looks = Looks()
    for number in range(25):
        losses.append(torch.tensor(math.nan if number >= bad else float(number)))
        if len(losses) % 10 == 0 or len(losses) == 25:
            answers[len(losses)] = looks.look(losses, wait=len(losses) == 25)
            if answers[len(losses)]:
                break
    place, value = answers[len(losses)]
    assert (place, math.isnan(value)) == (bad, True)
    assert len(losses) == (20 if bad < 10 else 25)
    assert looks.last == (None if bad == 0 else bad - 1)


def test_no_look_waits_for_its_own_answer(late):
    """The answer of a look is taken by the next one."""
    looks = Looks()
    looks.look([torch.tensor(1.0)])
    assert looks.last is None
    looks.look([torch.tensor(1.0), torch.tensor(3.0)])
    assert looks.last == 1.0
    looks.look([torch.tensor(v) for v in np.arange(4.0)], wait=True)
    assert looks.last == 3.0
