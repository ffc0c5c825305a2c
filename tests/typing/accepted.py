"""Code as a user would write it; mypy must accept it in strict mode, and know what comes out."""

from pathlib import Path
from typing import assert_type

import pandas as pd
import torch

import overpaint as op

before = op.load("inception_v1.bvlc_in1k")
after = op.load(Path("runs/styles/networks/fine_tuned").as_posix(), weights=None, seed=0)
assert_type(before, op.Network)

collection = op.dataset("data/rasta", kind="rasta", seed=1)
assert_type(collection, op.Dataset)
images = collection.split("test")

change = op.compare(before, after, images, k=50, reduction="mean", related=True)
assert_type(change, op.Comparison)
assert_type(change.layers, pd.DataFrame)
seen = op.concepts(before, after, images, repeats=[after], seed=1)
assert_type(seen, op.Concepts)
assert_type(seen.sure(), pd.DataFrame)
looked = op.attribute(after, "painting.jpg", label="cat", method="grad_cam", seed=1)
assert_type(looked, op.Attribution)
assert_type(looked.alike, float | None)
known = op.probe({"before": before, "after": after}, collection.split("train"), images)
assert_type(known, op.Probes)
assert_type(op.probe([before, after], images, images).rows, pd.DataFrame)
assert_type(op.rewind(before, after, images).rows, pd.DataFrame)
way = op.between(before, after, images, train=collection.split("train"), by_layer=True)
assert_type(way, op.Way)
assert_type(way.best(), float)
best = change.channels.nlargest(20, "concentration")

drawn = op.render(after, "mixed4d", [164, 450], steps=64, size=96)
drawn.save("mixed4d.png")
for rendering in op.render(after, "mixed4d"):
    print(rendering.objective_end, rendering.image.shape)

unit = op.Unit.of("mixed4d:164")
assert_type(unit, op.Unit)
with op.taps(after, ["mixed4d"]) as tap:
    print(tap)

own = op.wrap(torch.nn.Linear(3, 2), layers=["stem"], head=False, preprocessing={"size": 32})
assert_type(own, op.Network)

study = op.read_study("styles.yaml")
assert_type(study, op.Study)
assert_type(op.report(Path("runs/styles")), Path)
assert_type(op.report(change, "runs/mine", render={"layers": ["stem"]}), Path)

try:
    op.load("inception_v2")
except op.OverpaintError as error:
    assert_type(error.slug, str)
