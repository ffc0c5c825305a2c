"""Numbers and names that several rooms must agree on, each written once; imports nothing."""

SPLITS = ("train", "val", "test")
"""The splits of a dataset, in the order in which they are told."""

MAXIMAL_IMAGES = 100
"""How many maximal images a channel has: the paper's k."""

SHOWN_IMAGES = 100
"""The maximal images of a channel and network that the report shows at most."""

LEVEL = 0.05
"""The level of a test, and of the false discovery rate: what lies below is evidence."""

GROUPS = 10
"""Groups of pictures below which an interval over groups is not to be relied on."""

PICTURES = 30
"""Pictures below which the bootstrap's interval over pictures is not to be relied on."""

RENDER_STEPS = 512
RENDER_SIZE = 128
"""Steps of a rendering's optimisation, and pixels of its side."""

MOST_STEPS = 1_000_000
MOST_SIDE = 4096
"""The most that is taken of both; a rendering of such a side needs some gigabytes already."""

DREAM_STEPS = 100
"""Steps of a dream on a picture that there is."""

DEVICE_VARIABLE = "OVERPAINT_DEVICE"
"""The variable of the environment that names a device; `--device` sets it for a command."""

MOST_TAUGHT = 5000
"""Pictures of train at most that a probe is taught by."""

MOST_PARTED = 1000
"""Pictures at most that difference concepts are sought among: the time grows with their square."""

MOST_MAPPED = 3000
"""Pictures at most that lie in the plane of a network: a map of more shows none."""

NEIGHBOURS = 10
"""How many nearest neighbours a picture has, where it is asked how many of them are kept."""

NEAREST = 6
"""Of these the first, that are told and shown by name."""

GAZE_PICTURES = 8
"""Pictures of a comparison on which it is looked where its networks look."""

CONCEPT_IMAGES = 8
"""Pictures of a difference concept that are shown, the most typical first."""
