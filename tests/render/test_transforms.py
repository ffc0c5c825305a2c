"""What a network is shown of a canvas."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from overpaint.render import transforms
from overpaint.render.canvas import SD, FourierCanvas
from overpaint.render.transforms import (
    ANGLES,
    BORDER,
    SCALES,
    STANDARD,
    Move,
    compose,
    crop_or_pad,
    drawn_numbers,
    jitter,
    look,
    lucid_exact,
    lucid_jitter,
    lucid_rotate,
    lucid_scale,
    noise,
    on_grey,
    on_noise,
    rotate,
    scale,
    standard,
    warp,
)
from overpaint.seeds import generator


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def pictures(count, height=40, width=None, seed=0):
    shape = (count, 3, height, width or height)
    return torch.from_numpy(np.random.default_rng(seed).random(shape, "f4"))


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


@given(st.integers(1, 9), st.integers(1, 7), st.integers(0, 99))
def test_moves_drawn_at_once(most, steps, seed):
    """Drawn for many steps at once, moves are those that are drawn step by step."""
    moves = (jitter(8), jitter(0), scale(SCALES[:most]), rotate(ANGLES[:most]), jitter(most))
    image, together, alone = pictures(2, 16), generators(seed, 7), generators(seed, 7)
    views = warp(moves, border=4).ahead((3, 16, 16), together, steps, image.device)
    for view in views:
        found = view.show(image)
        assert torch.equal(found, warp(moves, border=4)(image, alone))
        assert found.shape[1:] == view.shape
    assert [random.bit_generator.state for random in together] == [
        random.bit_generator.state for random in alone
    ]


def test_numbers_drawn_at_once_are_those_of_single_calls():
    """NumPy gives the same for bounds side by side as for one after the other."""
    random, numbers = np.random.default_rng(3), drawn_numbers([9, 9, 11, 26], generators(3), 50)
    for step in range(50):
        singly = [*random.integers(9, size=2), random.integers(11), random.integers(26)]
        assert numbers[step, 0].tolist() == singly


def test_many_are_drawn_in_lots(monkeypatch):
    """What would be too many matrices at once is drawn in lots, and is the same."""
    image = pictures(2, 16)
    whole = standard().ahead((3, 16, 16), generators(1, 2), 7, image.device)
    wanted = [view.show(image) for view in whole]
    monkeypatch.setattr(transforms, "LOT", 6)
    lots = standard().ahead((3, 16, 16), generators(1, 2), 7, image.device)
    found = [view.show(image) for view in lots]
    assert torch.equal(torch.stack(found), torch.stack(wanted))


@pytest.mark.parametrize(
    "transform",
    [
        lucid_exact(),
        lucid_exact(20),
        compose(on_noise(), standard()),
        compose(on_grey(), noise(0.1)),
    ],
)
def test_ahead_is_step_by_step(transform):
    """Views of several steps are those of as many calls, and as large as they say."""
    image = torch.cat([pictures(1, 16), pictures(1, 16, seed=1)[:, :1]], dim=1)
    alone = generators(4)
    for view in transform.ahead((4, 16, 16), generators(4), 3, image.device):
        found = view.show(image)
        assert torch.equal(found, transform(image, alone))
        assert found.shape[1:] == view.shape


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
    move, double = (
        Move((), lambda numbers: np.full((*numbers.shape[:-1], 3, 3), shift(4, 0))),
        scale([2.0]),
    )
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


# --- against the definition ----------------------------------------------------------------------


def slow_look(image, matrix, height, width):
    """Where each pixel seen comes from, and what lies there between four pixels: one (H, W)."""
    rows, columns = image.shape

    def at(row, column):
        inside = 0 <= row < rows and 0 <= column < columns
        return image[row, column] if inside else 0.5

    seen = np.zeros((height, width))
    for v in range(height):
        for u in range(width):
            middle = np.array([u - (width - 1) / 2, v - (height - 1) / 2, 1])
            x, y, _ = np.linalg.solve(matrix, middle)
            x, y = x + (columns - 1) / 2, y + (rows - 1) / 2
            left, top = int(np.floor(x)), int(np.floor(y))
            right_share, low_share = x - left, y - top
            upper = at(top, left) * (1 - right_share) + at(top, left + 1) * right_share
            lower = at(top + 1, left) * (1 - right_share) + at(top + 1, left + 1) * right_share
            seen[v, u] = upper * (1 - low_share) + lower * low_share
    return seen


def slow_standard(random):
    """The matrix of one draw of the standard moves, drawn in their order."""
    first = random.integers(9, size=2) - 4
    factor = SCALES[random.integers(11)]
    angle = np.pi * ANGLES[random.integers(26)] / 180
    last = random.integers(5, size=2) - 2
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return shift(*last) @ turn @ np.diag([factor, factor, 1]) @ shift(*first)


@pytest.mark.parametrize("size", [(20, 20), (13, 22), (21, 12)])
def test_standard_is_its_definition(size):
    """What is seen in the standard set is one bilinear look through the four moves drawn."""
    images = pictures(2, *size)
    seen = standard()(images, generators(3, 4))
    for row, seed in enumerate((3, 4)):
        matrix = slow_standard(np.random.default_rng(seed))
        twin = slow_look(images[row, 1].numpy(), matrix, size[0] + 12, size[1] + 12)
        np.testing.assert_allclose(seen[row, 1].numpy(), twin, atol=1e-5)


def test_resized_is_its_definition():
    """Resized to a side, an oblong view is stretched in each direction by its own factor."""
    image = pictures(1, 12, 20)
    matrix = np.diag([15 / 26, 15 / 18, 1])
    seen = warp((), border=6, side=15)(image, generators(0))
    twin = slow_look(image[0, 0].numpy(), matrix, 15, 15)
    np.testing.assert_allclose(seen[0, 0].numpy(), twin, atol=1e-5)


def test_surround_of_an_oblong():
    """The surround is as wide on each side: lucent's pads the wrong sides of an oblong picture."""
    seen = warp((), border=24)(torch.ones(1, 3, 100, 200), generators(0))
    assert seen.shape == (1, 3, 124, 224)
    assert (seen[:, :, 12:-12, 12:-12] > 0.999).all()
    for side in (seen[:, :, :12], seen[:, :, -12:], seen[..., :12], seen[..., -12:]):
        assert ((side - 0.5).abs() < 1e-4).all()


@given(st.integers(8, 30), st.integers(8, 30), st.integers(0, 99))
def test_nothing_is_nothing(height, width, seed):
    """A jitter by 0, a scale of 1 and a turn by 0 change nothing, in Lucid's manner to the bit."""
    image = pictures(1, height, width, seed=seed)
    seen = warp([jitter(0), scale([1.0]), rotate([0])])(image, generators(seed))
    torch.testing.assert_close(seen, image, atol=2e-5, rtol=0)
    still = lucid_rotate(lucid_scale(lucid_jitter(image, 0, np.array([0, 0])), 1.0), 0)
    assert torch.equal(still, image)


@given(st.floats(-180, 180), st.floats(0.5, 2), st.integers(0, 99))
def test_there_and_back(angle, factor, seed):
    """A turn and an enlargement, and then both backwards, are no change of the view."""
    moves = [rotate([angle]), scale([factor]), rotate([-angle]), scale([1 / factor])]
    image = pictures(1, 16, seed=seed)
    seen = warp(moves)(image, generators(seed))
    torch.testing.assert_close(seen, image, atol=1e-4, rtol=0)


# --- Lucid's, to the pixel -----------------------------------------------------------------------


def slow_scale(image, factor):
    """TensorFlow 1: pixel n of the new size lies at n * old / new, with no half pixels."""
    height, width = image.shape
    high, wide = int(np.float32(factor) * height), int(np.float32(factor) * width)
    seen = np.zeros((high, wide))
    for v in range(high):
        for u in range(wide):
            y, x = v * height / high, u * width / wide
            top, left = int(y), int(x)
            low, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            lower = image[low, left] + (image[low, right] - image[low, left]) * (x - left)
            seen[v, u] = upper + (lower - upper) * (y - top)
    return seen


def slow_rotate(image, degrees):
    """tf.contrib.image.rotate: each pixel is the nearest of before the turn, or 0."""
    height, width = image.shape
    angle = 3.14 * degrees / 180
    cos, sin = np.cos(angle), np.sin(angle)
    seen = np.zeros_like(image)
    for v in range(height):
        for u in range(width):
            x, y = u - (width - 1) / 2, v - (height - 1) / 2
            from_x = cos * x - sin * y + (width - 1) / 2
            from_y = sin * x + cos * y + (height - 1) / 2
            column, row = int(np.floor(from_x + 0.5)), int(np.floor(from_y + 0.5))
            if 0 <= column < width and 0 <= row < height:
                seen[v, u] = image[row, column]
    return seen


def test_scale_of_tensorflow():
    """A row doubled as TensorFlow 1 documents it: its first pixel stays where it is."""
    row = torch.tensor([[[[0.0, 1, 2, 3]]]])
    assert lucid_scale(row.expand(1, 3, 4, 4), 2.0)[0, 0, 0].tolist() == [
        0,
        0.5,
        1,
        1.5,
        2,
        2.5,
        3,
        3,
    ]


@pytest.mark.parametrize("size", [(30, 30), (23, 37)])
def test_lucid_scale(size):
    """Lucid's scales are those of TensorFlow 1, on sides that are cut off to whole pixels."""
    images = pictures(2, *size)
    for factor in SCALES:
        seen = lucid_scale(images, factor)
        for row in range(2):
            twin = slow_scale(images[row, 2].numpy().astype(float), factor)
            np.testing.assert_allclose(seen[row, 2].numpy(), twin, atol=1e-5)


@pytest.mark.parametrize("size", [(30, 30), (23, 37), (24, 31)])
def test_lucid_rotate(size):
    """Lucid's turns take the nearest pixel, and black where there is none."""
    image = pictures(1, *size) + 0.1
    for angle in range(-10, 11):
        seen = lucid_rotate(image, angle)[0, 1].numpy()
        twin = slow_rotate(image[0, 1].numpy(), angle)
        # a place half-way between two pixels is nearest to both; rounding decides
        assert np.mean(np.abs(seen - twin) > 1e-5) < (0.002 if angle else 1e-9)


def test_lucid_turns_counter_clockwise():
    """A mark to the right of the middle goes up."""
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 35] = 1
    row, column = divmod(int(lucid_rotate(image, 10).argmax()), 41)
    assert (row, column) in [(17, 35), (18, 35), (17, 34)]


def slow_lucid(image, random):
    """The whole set on one channel (H, W), drawn in its order."""
    image = np.pad(image, 12, constant_values=0.5)
    for pixels, turn in ((8, True), (4, False)):
        top, left = random.integers(pixels + 1, size=2)
        height, width = image.shape[0] - pixels, image.shape[1] - pixels
        image = image[top : top + height, left : left + width]
        if turn:
            image = slow_scale(image, SCALES[random.integers(11)])
            image = slow_rotate(image, ANGLES[random.integers(26)])
    return image


@pytest.mark.parametrize("seed", range(4))
def test_lucid_exact(seed):
    """Lucid's set is its steps, one after the other, and the same for the whole batch."""
    images = pictures(2, 30, 41)
    seen = lucid_exact()(images, generators(seed, 99))
    for row in range(2):
        twin = slow_lucid(images[row, 0].numpy().astype(float), np.random.default_rng(seed))
        assert seen[row, 0].shape == twin.shape
        assert np.mean(np.abs(seen[row, 0].numpy() - twin) > 1e-5) < 0.002


def test_lucid_s_sizes():
    """A canvas of 128 pixels is seen at 125 to 154, and in a fixed size cropped or set in black."""
    random = np.random.default_rng(0)
    images = torch.ones(1, 3, 128, 128)
    sizes = {lucid_exact()(images, [random]).shape[2:] for _ in range(300)}
    assert {min(sizes), max(sizes)} == {(125, 125), (154, 154)}
    assert {lucid_exact(140)(images, [random]).shape for _ in range(20)} == {(1, 3, 140, 140)}


def test_crop_or_pad():
    """The middle is kept, and what is added is black."""
    row = torch.arange(1.0, 6).expand(1, 1, 5, 5)
    assert crop_or_pad(row, 3)[0, 0, 0].tolist() == [2, 3, 4]
    padded = crop_or_pad(row, 8)
    assert padded[0, 0, 3].tolist() == [0, 1, 2, 3, 4, 5, 0, 0]
    assert padded[0, 0, :, 3].tolist() == [0, 3, 3, 3, 3, 3, 0, 0]


@pytest.mark.parametrize(("transform", "most"), [(standard(), 0.0), (lucid_exact(), 0.02)])
def test_black_borders(transform, most):
    """Of a white canvas next to nothing that is seen is black: lucent shows 10.6 %."""
    random = np.random.default_rng(1)
    white = torch.ones(1, 3, 128, 128)
    shares = [(transform(white, [random]) < 0.25).float().mean().item() for _ in range(300)]
    assert np.mean(shares) <= most
    assert most == 0 or np.mean(shares) > 0.005  # the corners of Lucid's turns are black


# --- the others ----------------------------------------------------------------------------------


def test_compose():
    """Transforms come one after the other, on one stream of draws."""
    images = pictures(2)
    both = compose(noise(0.1), standard())(images, generators(1, 2))
    draws = generators(1, 2)
    assert torch.equal(both, standard()(noise(0.1)(images, draws), draws))
    assert torch.equal(compose()(images, generators(1, 2)), images)


def test_noise():
    """Noise is even between minus and plus its amount, each picture's its own."""
    images = pictures(2)
    change = noise(0.1)(images, generators(1, 2)) - images
    assert change.abs().max() <= 0.1 + 1e-6
    assert change.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.03)
    assert abs(np.corrcoef(change.reshape(2, -1).numpy())[0, 1]) < 0.05
    assert torch.equal(noise(0.1)(images[1:], generators(2))[0], (images + change)[1])


def test_on_a_ground():
    """What is opaque stays as it is, what is clear is the ground, and half is half."""
    images = torch.cat([pictures(1), torch.zeros(1, 1, 40, 40)], dim=1)
    images[0, 3, :10], images[0, 3, 10:20] = 1, 0.5
    for transform in (on_grey(), on_noise()):
        seen, ground = (transform(each, generators(5)) for each in (images, 0 * images))
        torch.testing.assert_close(seen[:, :, :10], images[:, :3, :10])
        torch.testing.assert_close(
            seen[:, :, 10:20], (images[:, :3, 10:20] + ground[:, :, 10:20]) / 2
        )
        torch.testing.assert_close(seen[:, :, 20:], ground[:, :, 20:])
    assert (on_grey()(0 * images, generators(5)) == 0.5).all()


def test_a_ground_is_a_canvas_s_start():
    """A ground is painted in the frequencies and colours of a canvas, from the same numbers."""
    canvas = FourierCanvas((20, 31), [1])
    ground = on_noise(SD)(torch.zeros(1, 4, 20, 31), [generator(1, "canvas")])
    torch.testing.assert_close(ground, canvas.pixels())


def test_grounds_differ():
    """A ground of noise is another each time, and each picture's its own."""
    clear, draws = torch.zeros(2, 4, 32, 45), generators(1, 2)
    first, second = (on_noise()(clear, draws) for _ in "ab")
    assert first.shape == (2, 3, 32, 45)
    assert (first[0] - first[1]).abs().mean() > 0.05
    assert (first - second).abs().mean() > 0.05
    assert 0.05 < first.std() < 0.4
