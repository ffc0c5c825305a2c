"""Mistakes that a type checker must tell; beside each line the code of the error."""

import overpaint as op

network = op.load("inception_small", weights="random")
collection = op.dataset("data/rasta")

op.compare(network, 3, collection.split("test"))  # refused: arg-type
op.compare(network, network, "nonsense")  # refused: arg-type
op.compare(network, network, collection.split("test"), kk=7)  # refused: call-arg
op.load(5)  # refused: arg-type
op.render(network, "mixed4d", channel=3)  # refused: call-arg
op.render("mixed4d", "mixed4d")  # refused: arg-type
op.wrap("mine")  # refused: arg-type
op.report(3)  # refused: call-overload
op.paint(network)  # refused: attr-defined
depth: int = network.layers  # refused: assignment
