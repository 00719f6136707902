"""The claims C1 to C8 as a forest plot: the deciding difference with its interval, and the verdict, on each dataset.

Numbers beside the plot give the differences and intervals, which are often shorter than their marks.

The difference is in points of test Hits@20 over all prefixes. Twins are not shown.
"""

from pathlib import Path

import _style as style
import pandas as pd
from _summary_folder import NOT_TESTED, Study, run, select

NAME = "figure_claims"
COMPARED = {
    "C1": "fusion − single",
    "C2": "part in fusion − alone",
    "C3": "AlterRec − fusion",
    "C4": "augmented − AlterRec",
    "C5": "gain on tail − head",
    "C6": "hard − random negatives",
    "C7": "AlterRec − ensemble",
    "C8": "gain − twin’s gain",
}
VERDICTS = {  # colour of Okabe and Ito, marker
    "supported": ("#0072B2", "o"),
    "refuted": ("#D55E00", "s"),
    "undecided": ("#6A6A6A", "D"),
    NOT_TESTED: ("#6A6A6A", ""),
}
LINEAR = 1  # points; the axis is linear up to here and logarithmic beyond
TICKS = (-10, -1, 0, 1, 10)
WIDTH = 4.9  # inches, with the numbers


def main(study: Study, out: Path) -> None:
    draw_studies([study], out)


def draw_studies(studies: list[Study], out: Path) -> None:
    """One panel for each dataset of each study, below each other."""
    panels = [(study, dataset, claims) for study in studies for dataset, claims in claims_by_dataset(study)]
    if not panels:
        return style.save_empty(out, NAME, "This study has no claims.")
    fig, axes = style.new_figure(len(panels), 1, WIDTH, 1.6, sharex=True)
    for (axis,), (study, dataset, claims) in zip(axes, panels, strict=True):
        draw(axis, claims)
        style.set_title(axis, study, dataset)
    shown = pd.concat(claims[["difference", "low", "high"]] for _, _, claims in panels)
    farthest = 120 * shown.abs().max(axis=None)
    axes[0][0].set_xlim(-max(20, farthest), max(20, farthest))
    axes[-1][0].set_xlabel("Difference in points of Hits@20")
    notes = [
        f"The axis is linear up to {LINEAR} point and logarithmic beyond.",
        "C1 and C8 say what is not better: a positive difference speaks against them.",
        "Intervals are 95 % intervals, and wider for C2 and C8, where one of several comparisons is enough.",
    ]
    notes += dict.fromkeys(note for study in studies for note in study.data_notes())
    style.save(fig, out, NAME, notes)


def claims_by_dataset(study: Study) -> list[tuple[str, pd.DataFrame]]:
    """The rows of the primary outcome for each real dataset that has claims, in the claims' order."""
    claims = select(study.claims(), primary=True)
    return [
        (dataset, select(claims, dataset=dataset).sort_values("claim", ignore_index=True))
        for dataset in study.real_datasets
        if dataset in set(claims.dataset)
    ]


def compared(claim: str, comparison: str) -> str:
    """The label of a row. C2 names the part that decides it, with which the `comparison` begins; untested, it is empty."""
    part = style.PARTS.get(comparison.partition(" ")[0].lower())
    return " ".join(filter(None, [claim, part, COMPARED[claim]]))


def draw(panel, claims: pd.DataFrame) -> None:
    """One row per claim from the top: interval, mark, and at the right the numbers and the verdict, in the verdict's colour.

    A claim that was not tested has no mark.
    """
    for row in claims.itertuples():
        colour, marker = VERDICTS[row.verdict]
        low, middle, high = (100 * value for value in (row.low, row.difference, row.high))
        panel.plot([low, high], [row.Index] * 2, "|-", color=colour, markersize=5)
        panel.plot(middle, row.Index, marker, color=colour)
        texts = [(4, row.verdict)]
        if marker:
            texts.append((48, f"{middle:+z.2f} [{low:z.2f}, {high:z.2f}]".replace("-", "−")))
        for points, text in texts:  # to the right of the panel
            panel.annotate(
                text,
                (1, row.Index),
                (points, 0),
                xycoords=panel.get_yaxis_transform(),
                textcoords="offset points",
                color=colour,
                va="center",
            )
    panel.axvline(0, color="#444444", linewidth=0.7, zorder=0)
    panel.set_xscale("symlog", linthresh=LINEAR)
    panel.set_xticks(TICKS, [f"{tick}".replace("-", "−") for tick in TICKS])
    panel.set_xticks([], minor=True)
    panel.set_yticks(claims.index, map(compared, claims.claim, claims.comparison))
    panel.set_ylim(len(claims) - 0.5, -0.5)
    panel.grid(axis="y", visible=False)


if __name__ == "__main__":
    run(main, __doc__)
