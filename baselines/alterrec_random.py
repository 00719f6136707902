"""AlterRec with random negatives only: its networks still train in turns, but never learn from each other.

The control of claim C6: what AlterRec gains from hard negatives (ablation of arXiv 2402.08921).
"""

from typing import Literal

from alterrec.registry import sibling
from alterrec.study.settings import AlterRecConfig

version = 2
family = "method"
label = "AlterRec, random negatives"
uses_text = True
networks = ("id_only", "text_only")


class Config(AlterRecConfig):
    """AlterRec's settings with hard negatives for neither network."""

    hard_negatives_for: Literal["none"] = "none"


fit = sibling(__file__, "alterrec").fit
