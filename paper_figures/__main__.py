"""`python -m paper_figures all` is `capsim figures all`."""

import sys

from experiments.cli import main

if __name__ == "__main__":
    sys.exit(main(["figures", *sys.argv[1:]]))
