"""Models made of other models' trained networks."""

from tests.planted import no_signal
from tests.unit.test_baselines import fit, save, task


def test_the_late_ensemble_reads_a_text_network_that_was_initialised_with_unit_gain(tmp_path):
    data = no_signal(items=60, sessions=120)
    alone = task("text_only", data, tmp_path, epochs=1, initialisation="unit_gain")
    save(fit("text_only", alone), alone, tmp_path / "text_only-1")
    ensemble = fit("late_ensemble", task("late_ensemble", data, tmp_path, epochs=1))
    assert ensemble.scorer.blend_parts == ("id", "text") and 0 <= ensemble.facts["alpha"] <= 1
