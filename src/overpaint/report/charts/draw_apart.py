"""A program that draws charts: a line of JSON with a chart in Vega-Lite, a line with its SVG.

It is run by its path in a process of its own (`drawing.Painter`), and needs nothing of the rest.
"""

import json
import sys


def main() -> None:
    """Draw until there is no more to draw."""
    import vl_convert

    for line in sys.stdin:
        spec, version = json.loads(line)
        drawing = vl_convert.vegalite_to_svg(spec, vl_version=version)
        sys.stdout.write(json.dumps(drawing) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
