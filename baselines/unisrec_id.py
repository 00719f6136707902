"""UniSRec with IDs: an item is the sum of its adapted text and of a free vector, in the prefix and in the catalogue.

Hou et al., KDD 2022 (arXiv 2206.05941), fine-tuned in the transductive setting. Reference implementation:
github.com/RUCAIBox/UniSRec. It is a sum fusion with another adaptor and with cosines, and is expected to be near
fusion_sum. The departures are those of unisrec, and so is the reason for up to 19 GiB with a million items.
"""

from alterrec.registry import sibling

version = 2
label = "UniSRec, text + ID"
uses_text = True
space = sibling(__file__, "unisrec").space

Config = sibling(__file__, "unisrec").Config


def fit(task):
    return sibling(__file__, "unisrec").fit_unisrec(task, with_ids=True)
