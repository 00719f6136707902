"""AlterRec whose networks each keep their own best epoch, as the members of a late ensemble do.

The authors keep both networks as they were at the best fused score. The difference from AlterRec is the effect of choosing
one epoch for both networks.
"""

from typing import Literal

from alterrec.registry import sibling
from alterrec.study.settings import AlterRecConfig

version = 1
family = "method"
label = "AlterRec, separate choice"
uses_text = True
networks = ("id_only_sampled", "text_only_sampled")
variant_of = "alterrec"


class Config(AlterRecConfig):
    """AlterRec's settings with a choice of epoch for each network."""

    choice: Literal["separate"] = "separate"


fit = sibling(__file__, "alterrec").fit
