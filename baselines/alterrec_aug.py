"""AlterRec_aug: AlterRec with augmented positives, the other network's top items as further labels (arXiv 2402.08921)."""

from alterrec.registry import sibling
from alterrec.study.settings import AlterRecConfig

version = 2
family = "method"
label = "AlterRec aug"
uses_text = True
networks = ("id_only_sampled", "text_only_sampled")
space = sibling(__file__, "alterrec").space | {
    "p": {"low": 1, "high": 5},
    "beta": {"low": 0.1, "high": 1.0},
}


class Config(AlterRecConfig):
    """AlterRec's settings with `augment` on."""

    augment: bool = True


fit = sibling(__file__, "alterrec").fit
