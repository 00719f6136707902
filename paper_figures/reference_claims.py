"""The claims of several studies as one forest plot, whose panels are those of figure_claims.

`python paper_figures/reference_claims.py OUT SUMMARY [SUMMARY ...]` writes OUT/figure_claims.pdf and .png.
"""

import argparse
import sys
from pathlib import Path

from _summary_folder import Study
from figure_claims import draw_studies

from alterrec.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder that the figure is written to")
    parser.add_argument(
        "summaries", type=Path, nargs="+", metavar="SUMMARY", help="summary folder of a study"
    )
    options = parser.parse_args()
    try:
        draw_studies([Study(summary) for summary in options.summaries], options.out)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
