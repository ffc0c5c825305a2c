"""What a rendering is to excite, against Lucid's formulas written out, and the laws of sums."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from overpaint.errors import NetworkError
from overpaint.networks import build
from overpaint.networks.taps import taps
from overpaint.render.objectives import (
    channel,
    deepdream,
    direction,
    diversity,
    groups,
    logit,
    neuron,
    score,
)

MAPS = np.random.default_rng(0).normal(size=(4, 3, 4, 5))
VECTOR = [0.5, -1.0, 2.0]


def seen(maps=MAPS):
    return {"a": torch.tensor(maps, dtype=torch.float64), "logits": torch.tensor(maps[:, :, 0, 0])}


def slow_direction(maps, power=0.0, position=None):
    """Lucid's dot product times a floored cosine, place by place: maps (C, H, W)."""
    _, height, width = maps.shape
    found = []
    for y in range(height):
        for x in range(width):
            here = maps[:, y, x]
            dot = sum(a * b for a, b in zip(here, VECTOR, strict=True))
            lengths = [sum(a * a for a in each) ** 0.5 for each in (here, VECTOR)]
            cosine = dot / (1e-4 + lengths[0]) / (1e-4 + lengths[1])
            found.append(dot * max(0.1, cosine) ** power)
    return np.mean(found) if position is None else found[position[0] * width + position[1]]


def slow_diversity(pictures):
    """Lucid's objective for a batch (n, C, H, W), which it subtracts."""
    grams = []
    for maps in pictures:
        flat = maps.reshape(len(maps), -1).T
        gram = sum(np.outer(place, place) for place in flat)
        grams.append(gram / np.sqrt(max((gram**2).sum(), 1e-10)))
    n = len(grams)
    return sum((grams[i] * grams[j]).sum() for i in range(n) for j in range(n) if i != j) / n


KINDS = {
    "channel": (lambda: channel("a", 1), lambda maps: np.mean(maps[1])),
    "neuron": (lambda: neuron("a", 2), lambda maps: maps[2, 2, 2]),
    "neuron at": (lambda: neuron("a", 2, (1, 4)), lambda maps: maps[2, 1, 4]),
    "direction": (lambda: direction("a", VECTOR), slow_direction),
    "direction with cosine": (
        lambda: direction("a", VECTOR, cosine_power=1.5),
        lambda maps: slow_direction(maps, 1.5),
    ),
    "direction at": (
        lambda: direction("a", VECTOR, cosine_power=2, position=(3, 1)),
        lambda maps: slow_direction(maps, 2, (3, 1)),
    ),
    "direction in the centre": (
        lambda: direction("a", VECTOR, position="centre"),
        lambda maps: slow_direction(maps, 0, (2, 2)),
    ),
    "deepdream": (lambda: deepdream("a"), lambda maps: np.mean(maps**2)),
    "logit": (lambda: logit(1), lambda maps: maps[1, 0, 0]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    """Each kind is its formula, for each picture of a batch."""
    make, slow = KINDS[kind]
    found = score([make() for _ in MAPS], seen())
    np.testing.assert_allclose(found.numpy(), [slow(maps) for maps in MAPS], rtol=1e-5)


def test_channel_of_tokens_and_vectors():
    """Of tokens it is the mean over tokens, of a vector the value itself."""
    tokens = torch.arange(12.0).reshape(4, 3)
    assert score([channel("a", 2)], {"a": tokens[None]}) == tokens[:, 2].mean()
    assert score([channel("a", 2)], {"a": tokens[:1]}) == 2


def test_neuron_of_tokens():
    """Tokens are the places of a square map, row by row."""
    tokens = torch.arange(27.0).reshape(1, 9, 3)
    assert score([neuron("a", 1)], {"a": tokens}) == tokens[0, 4, 1]
    assert score([neuron("a", 1, (2, 0))], {"a": tokens}) == tokens[0, 6, 1]
    assert score([direction("a", [0, 1, 0], position=(0, 2))], {"a": tokens}) == tokens[0, 2, 1]


# --- sums ----------------------------------------------------------------------------------------

numbers = st.floats(-10, 10)
terms = st.sampled_from([KINDS[kind][0] for kind in KINDS])
goals = st.lists(st.tuples(numbers, terms), min_size=1, max_size=5).map(
    lambda parts: sum(weight * make() for weight, make in parts)
)


def value(goal):
    return score([goal], seen()).item()


@given(goals, goals, numbers, numbers)
def test_linear(left, right, first, second):
    """Objectives have the arithmetic of numbers, and so have their values."""
    found = value(first * left - right * second)
    assert found == pytest.approx(first * value(left) - second * value(right), rel=1e-9, abs=1e-9)
    assert value(-left) == -value(left)
    assert value(left + right) == pytest.approx(value(right + left), abs=1e-9)
    assert value(left - left) == pytest.approx(0, abs=1e-9)


@given(st.lists(goals, min_size=1, max_size=4))
def test_each_its_own(many):
    """What a picture scores does not depend on what its batch mates are asked for."""
    together = score(many, seen())
    for row, goal in enumerate(many):
        own = {layer: maps[row : row + 1] for layer, maps in seen().items()}
        assert together[row].item() == pytest.approx(score([goal], own).item(), rel=1e-12)


def test_gradients_are_one_s_own():
    """A picture's gradient reaches the channels that it is asked for, and no other picture."""
    maps = torch.rand(2, 3, 2, 2, requires_grad=True)
    values = score([channel("a", 0), channel("a", 2)], {"a": maps})
    torch.testing.assert_close(values, torch.stack([maps[0, 0].mean(), maps[1, 2].mean()]))
    (gradient,) = torch.autograd.grad(values.sum(), maps)
    wanted = torch.zeros(2, 3, 2, 2)
    wanted[0, 0] = wanted[1, 2] = 0.25
    assert torch.equal(gradient, wanted)


def test_channels_alone_and_together():
    """To the last bit, a channel's value is the same in batches of any size."""
    maps = torch.rand(9, 8, 7, 5).contiguous(memory_format=torch.channels_last)
    many = score([channel("a", row % 8) for row in range(9)], {"a": maps})
    for row in range(9):
        own = score([channel("a", row % 8)], {"a": maps[row : row + 2]})
        assert torch.equal(many[row], own[0])


def test_half_precision():
    """Activations in half precision are added up in single precision."""
    maps = torch.rand(1, 1, 64, 64).bfloat16()
    found = score([channel("a", 0)], {"a": maps})
    torch.testing.assert_close(found, maps.float().mean(dim=(1, 2, 3)), rtol=1e-6, atol=0)


def test_extra_pictures():
    """Pictures beyond the objectives are not asked for anything."""
    assert score([channel("a", 1)], seen()).shape == (1,)


def test_no_length_no_nan():
    """Where nothing is excited a cosine has no direction, but its gradient is a number."""
    maps = torch.zeros(1, 3, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(
        score([direction("a", VECTOR, cosine_power=2)], {"a": maps}).sum(), maps
    )
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "wrong", [lambda a: a * a, lambda a: a + 1, lambda a: a - 1, lambda a: "x" * a]
)
def test_no_other_arithmetic(wrong):
    """Objectives cannot be multiplied with each other, nor numbers be added to them."""
    with pytest.raises(TypeError):
        wrong(channel("a", 1))


# --- diversity -----------------------------------------------------------------------------------


def test_diversity():
    """The mean over a group is minus Lucid's number."""
    differ = diversity("a")
    found = score([differ] * 4, seen())
    assert found.mean().item() == pytest.approx(-slow_diversity(MAPS), rel=1e-9)
    assert (found < 0).any()


def test_diversity_adds_up():
    """Twice a diversity is a diversity and itself."""
    differ = diversity("a")
    torch.testing.assert_close(
        score([differ + differ] * 4, seen()), score([2 * differ] * 4, seen())
    )


def test_groups_do_not_meet():
    """Two groups of one batch are as two batches, in any order."""
    one, other = diversity("a"), diversity("a")
    found = score([one, other, other, one], seen())
    for rows in ([0, 3], [1, 2]):
        expected = -slow_diversity(MAPS[rows])
        assert found[rows].mean().item() == pytest.approx(expected, rel=1e-9)


def test_alone_is_not_like_anybody():
    """A picture without mates has nobody to differ from."""
    assert score([diversity("a")], seen()).item() == pytest.approx(0, abs=1e-12)


def test_diversity_of_like_pictures():
    """Pictures that are the same are as like as can be: 1 for each pair."""
    differ = diversity("a")
    found = score([differ] * 3, seen(MAPS[[0, 0, 0]]))
    np.testing.assert_allclose(found.numpy(), -2, rtol=1e-9)


def test_groups():
    """Pictures that share a diversity, if only by way of a third, belong into one batch."""
    one, two = diversity("a"), diversity("b")
    alone = channel("a", 0)
    assert groups([alone, one, alone + two, one + two, alone]) == [[0], [1, 2, 3], [4]]
    assert groups([one + two, one, two]) == [[0, 1, 2]]
    assert groups([alone, alone]) == [[0], [1]]
    assert groups([]) == []


# --- on a network --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    return build("inception_small", classes=("cat", "dog"), seed=0)


def checked(network, goal):
    goal = goal.on(network)
    with torch.no_grad(), taps(network, goal.layers, reduction=torch.clone) as tap:
        goal.check(network, tap(torch.zeros(1, 3, 64, 64)))
    return goal


def test_logit_of_a_network(network):
    """A class by name is the network's output for it."""
    images = torch.rand(2, 3, 64, 64)
    goal = 2 * checked(network, logit("dog"))
    with torch.no_grad(), taps(network, goal.layers, reduction=torch.clone) as tap:
        found = score([goal, goal], tap(images))
        torch.testing.assert_close(found, 2 * network(images)[:, 1])


@pytest.mark.parametrize(
    ("goal", "slug", "said"),
    [
        (channel("mixed4b", 152), "no-channel", r"has 152 channels, 0\.\.151; there is no 152"),
        (neuron("mixed4b", -1), "no-channel", "there is no -1"),
        (neuron("mixed4b", 1, (8, 0)), "no-place", r"has 8 × 8 places; there is no \(8, 0\)"),
        (direction("mixed4b", [1, 2]), "no-channel", "152 channels; a direction of 2 numbers"),
        (logit("dgo"), "no-class", "no class 'dgo'; did you mean 'dog'"),
        (logit(2), "no-channel", "has 2 channels"),
        (channel("mixed3a", 1) + channel("mixed4b", 999), "no-channel", "'mixed4b'"),
    ],
)
def test_refused(network, goal, slug, said):
    """What a layer does not have is refused, and the message says what it has."""
    with pytest.raises(NetworkError, match=said) as caught:
        checked(network, goal)
    assert caught.value.slug == slug


def test_accepted(network):
    """The last channel and the last place are there."""
    checked(network, channel("mixed4b", 151) + neuron("mixed4b", 0, (7, 7)) - deepdream("mixed3a"))
    checked(network, direction("mixed4b", [1] * 152, position=(7, 7)))
