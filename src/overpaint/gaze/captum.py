"""Captum: the library of attributions, imported where one is made and not before."""

from importlib.util import find_spec
from typing import Any

from overpaint.errors import MissingExtraError


def has_captum() -> bool:
    """Whether Captum is installed; it is not imported for that."""
    return find_spec("captum") is not None


def captum_attr() -> Any:
    """Captum's attributions; a MissingExtraError where they cannot be imported."""
    try:
        import captum.attr
    except ImportError as error:
        raise MissingExtraError(
            "missing-extra",
            f"integrated gradients and Grad-CAM need an extra ({error}): "
            "python -m pip install 'overpaint[attribution]'",
        ) from None
    return captum.attr
