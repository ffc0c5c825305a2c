"""`python -m overpaint`: the command line, also where its script is not on the path."""

from overpaint.cli import main

if __name__ == "__main__":
    main()
