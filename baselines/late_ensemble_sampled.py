"""Late ensemble, sampled: the two networks trained independently against uniform negatives, and blended afterwards.

It differs from the late ensemble in the loss, and from AlterRec's independent networks (alterrec_random) in the choice
of the epoch: here each network keeps its own best one.
"""

from alterrec.registry import sibling

version = 1
family = "ensemble"
label = "Late ensemble, sampled softmax"
uses_text = True
requires = ("id_only_sampled", "text_only_sampled")

Config = sibling(__file__, "late_ensemble").Config
fit = sibling(__file__, "late_ensemble").fit
