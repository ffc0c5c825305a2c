"""What a network is shown of a canvas."""

import numpy as np
import pytest
import torch

from overpaint.render.transforms import (
    BORDER,
    STANDARD,
    jitter,
    look,
    rotate,
    scale,
    standard,
    warp,
)


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def pictures(count, size=40, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((count, 3, size, size), "f4"))


def shift(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])


def test_grey_stays_grey():
    """Of a mid-grey canvas the network sees mid-grey alone: no border or corner is black."""
    seen = standard()(torch.full((64, 3, 40, 40), 0.5), generators(*range(64)))
    assert (seen == 0.5).all()


def test_surround():
    """A white canvas lies in a grey surround, and nothing seen is darker than that."""
    seen = standard()(torch.ones(64, 3, 40, 40), generators(*range(64)))
    assert seen.shape == (64, 3, 40 + BORDER, 40 + BORDER)
    assert seen.min() >= 0.5 - 1e-6
    assert (seen[:, :, 20:32, 20:32] > 0.999).all()  # the middle is canvas whatever is drawn
    assert (seen[:, :, 0, 0] < 0.501).float().mean() > 0.9


def test_draws_are_one_s_own():
    """What a picture meets does not depend on its batch mates."""
    images = pictures(3)
    together = standard()(images, generators(4, 5, 6))
    alone = standard()(images[1:2], generators(5))
    assert torch.equal(together[1], alone[0])
    same = standard()(images[:1].repeat(2, 1, 1, 1), generators(4, 5))
    assert not torch.equal(same[0], same[1])


def test_nothing_to_survive():
    """Without moves a picture comes through as it is."""
    images = pictures(2, 33)
    torch.testing.assert_close(warp(())(images, generators(0, 1)), images, atol=1e-5, rtol=0)


def test_shift():
    """A shift by whole pixels is a shift, to the right and downwards, with grey behind it."""
    image = pictures(1, 20)
    seen = look(image, shift(3, 1)[None], 20)
    torch.testing.assert_close(seen[:, :, 1:, 3:], image[:, :, :-1, :-3], atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, :, 0], torch.full((1, 3, 20), 0.5), atol=1e-5, rtol=0)


def test_shift_in_a_wider_view():
    """In a view wider than its canvas too, a shift by a pixel is one pixel of the view."""
    image = pictures(1, 20)
    seen = look(image, shift(3, 1)[None], 30)
    torch.testing.assert_close(seen[:, :, 6:26, 8:28], image, atol=1e-5, rtol=0)


def test_one_move_after_the_other():
    """A shift before an enlargement is enlarged with the canvas; one after it is not."""
    image = torch.full((1, 3, 41, 41), 0.5)
    image[:, :, 20, 20] = 1
    move, double = (lambda _draws: shift(4, 0)[None]), scale([2.0])
    for moves, column in (([move, double], 28), ([double, move], 24)):
        seen = warp(moves)(image, generators(0))
        assert divmod(int(seen[0, 0].argmax()), 41) == (20, column)


def test_quarter_turn():
    """A quarter of a turn is one about the centre of the picture."""
    image = pictures(1, 21)
    seen = warp([rotate([90])])(image, generators(0))
    torch.testing.assert_close(seen, image.rot90(-1, (2, 3)), atol=1e-4, rtol=0)


def test_enlargement():
    """Scaled by two, a square of 8 pixels in the middle is one of 16."""
    image = torch.full((1, 3, 40, 40), 0.5)
    image[:, :, 16:24, 16:24] = 1
    seen = warp([scale([2.0])])(image, generators(0))
    assert (seen[:, :, 13:27, 13:27] > 0.999).all()
    assert (seen[0, 0] > 0.75).sum() == 16 * 16


def test_side():
    """A network of a fixed size sees the whole view, resized."""
    image = torch.full((1, 3, 40, 40), 0.5)
    image[:, :, :20] = 1
    seen = warp((), side=100)(image, generators(0))
    assert seen.shape == (1, 3, 100, 100)
    assert (seen[:, :, 2:48, 2:98] > 0.999).all()
    assert (seen[:, :, 52:] < 0.501).all()


def test_draws_are_lucid_s():
    """Jitters are whole and even over their range, scales 0.9 to 1.1, angles mostly not zero."""
    many = [np.random.default_rng(0)] * 2000
    shifts = jitter(8)(many)[:, :2, 2]
    values, counts = np.unique(shifts, return_counts=True)
    assert values.tolist() == list(range(-4, 5))
    assert counts.min() > 0.8 * counts.mean()
    _, enlarge, turn, last = STANDARD
    assert set(last(many)[:, 0, 2]) == {-2, -1, 0, 1, 2}
    factors = {round(factor, 6) for factor in enlarge(many)[:, 0, 0]}
    assert factors == {round(0.9 + i / 50, 6) for i in range(11)}
    angles = np.rad2deg(np.arcsin(turn(many)[:, 1, 0]))
    assert {round(angle) for angle in angles} == set(range(-10, 11))
    assert np.mean(np.abs(angles) < 1e-9) == pytest.approx(6 / 26, abs=0.04)


def test_differentiable():
    """Gradients reach the canvas, and only where it is seen."""
    image = pictures(1, 20).requires_grad_()
    (gradient,) = torch.autograd.grad(look(image, shift(5, 0)[None], 20).sum(), image)
    torch.testing.assert_close(gradient[..., :15], torch.ones(1, 3, 20, 15), atol=1e-4, rtol=0)
    assert gradient[..., 16:].abs().max() == 0
