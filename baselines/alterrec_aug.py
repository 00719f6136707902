"""AlterRec_aug: AlterRec with augmented positives, the other network's top items as further labels (arXiv 2402.08921)."""

from alterrec.config import AlterRecConfig
from alterrec.registry import sibling

version = 1
family = "method"
label = "AlterRec aug"
uses_text = True
networks = ("id_only", "text_only")  # whose settings it takes where it is not tuned itself


class Config(AlterRecConfig):
    """AlterRec's settings with `augment` on."""

    augment: bool = True


fit = sibling(__file__, "alterrec").fit
