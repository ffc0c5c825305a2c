"""The front door: a few names, each imported when it is used."""

import subprocess
import sys

import pytest

import overpaint as op
from overpaint.errors import DatasetError


def test_names_come_in_any_order():
    """A public function stays a function, also after the module of its name was imported."""
    import overpaint.networks.taps
    import overpaint.render
    import overpaint.report

    assert overpaint.render is op.render
    for name in op.__all__:
        assert callable(getattr(op, name)), name


def test_import_is_light():
    """`import overpaint` loads neither torch nor another library of an extra."""
    code = (
        "import sys, overpaint\n"
        "from overpaint.errors import TRAIN\n"
        "sys.exit(str({*TRAIN, 'datasets', 'webdataset', 'captum'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_compare_in_memory(pictures):
    """Two networks are compared in three lines; a network and itself do not differ."""
    network = op.load("inception_small", weights="random")
    images = op.dataset(pictures).split("train")
    change = op.compare(network, network, images, k=5)
    assert change.layers["cka"].tolist() == pytest.approx([1] * 8)
    assert (change.weights["status"] == "identical").all()
    assert (change.channels["concentration"].dropna() == 0).all()


def test_missing_folder():
    """A folder that is not there is an error that names it."""
    with pytest.raises(DatasetError, match="nowhere"):
        op.dataset("nowhere")


def test_unknown_name():
    """A name that is not public is an ordinary AttributeError."""
    with pytest.raises(AttributeError, match="paint"):
        _ = op.paint
