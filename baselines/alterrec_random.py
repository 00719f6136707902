"""AlterRec with random negatives only: two independent networks, because nothing passes from one to the other.

Training in turns then changes nothing but the order of the epochs. What remains is a late ensemble under a sampled
softmax, whose networks are kept as they were at one epoch, the best of the fused score (joint choice). It is the
control of claim C6: what AlterRec gains from hard negatives (ablation of arXiv 2402.08921).
"""

from typing import Literal

from alterrec.registry import sibling
from alterrec.study.settings import AlterRecConfig

version = 2
family = "method"
label = "Independent networks (sampled softmax, joint choice)"
uses_text = True
networks = ("id_only_sampled", "text_only_sampled")
space = {
    "k2": [500, 2000, 6000, 20000],  # decides the number of negatives
    "m_gap": {"low": 1, "high": 4},
}


class Config(AlterRecConfig):
    """AlterRec's settings with hard negatives for neither network."""

    hard_negatives_for: Literal["none"] = "none"


fit = sibling(__file__, "alterrec").fit
