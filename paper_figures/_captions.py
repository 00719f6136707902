"""The captions of the figures: workflow/report/figure_*.rst, in reStructuredText."""

from pathlib import Path

from docutils.core import publish_parts

FOLDER = Path(__file__).parents[1] / "workflow" / "report"


def captioned(figures: Path, suffix: str) -> list[Path]:
    """The files of one format in the folder `figures` that have a caption, in alphabetical order."""
    paths = (figures / f"{caption.stem}.{suffix}" for caption in sorted(FOLDER.glob("figure_*.rst")))
    return [path for path in paths if path.is_file()]


def title(figure: Path) -> str:
    return figure.stem.removeprefix("figure_").replace("_", " ").capitalize()


def caption(figure: Path, writer: str) -> str:
    """The caption of a figure as "html5" or "latex". A plain @ would make "Hits@20" a mail address."""
    text = (FOLDER / f"{figure.stem}.rst").read_text(encoding="utf-8").replace("@", r"\@")
    settings = {"use_latex_citations": True, "legacy_column_widths": False}  # otherwise docutils warns
    return publish_parts(text, writer=writer, settings_overrides=settings)["body"]
