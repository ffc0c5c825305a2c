"""docs/atelier.jpg, what the demonstration paints: `python tests/docs/atelier_sheet.py`."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from overpaint.datasets.atelier.tasks import MANNERS, paint

SHEET = Path(__file__).parents[2] / "docs" / "atelier.jpg"

SIDE, COLUMNS, WORD = 64, 10, 96
"""Pixels of a picture and of the words beside a row; pictures of a row."""


def sheet() -> Image.Image:
    """A row of photographs, and one of each manner."""
    rows = [("photographs", [("photographs", number) for number in range(COLUMNS)])]
    rows += [
        (manner, [("manners", number * len(MANNERS) + which) for number in range(COLUMNS)])
        for which, manner in enumerate(MANNERS)
    ]
    together = Image.new("RGB", (WORD + SIDE * COLUMNS, SIDE * len(rows)), "white")
    draw, font = ImageDraw.Draw(together), ImageFont.load_default(14)
    for row, (name, pictures) in enumerate(rows):
        draw.text((4, row * SIDE + SIDE // 2), name, fill="black", font=font, anchor="lm")
        for column, (task, number) in enumerate(pictures):
            picture, labels = paint(task, "train", number, seed=0)
            assert task == "photographs" or labels == (name,)
            place = (WORD + column * SIDE, row * SIDE)
            together.paste(picture.resize((SIDE - 3, SIDE - 3), Image.Resampling.LANCZOS), place)
    return together


if __name__ == "__main__":
    sheet().save(SHEET, quality=70)
