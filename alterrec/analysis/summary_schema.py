"""The tables of a study's summary folder and their columns. No other file lists them.

Every table is a parquet file that has all of its columns, even if it has no row. The workflow reads this file at every
start, so it imports nothing.
"""

VERSION = 1
"""Version of the format, written into study.json. Raise it when a table or column changes its name or meaning."""

COLUMNS = {
    table: tuple(columns.split())
    for table, columns in {
        "datasets": "dataset source licence sessions_train sessions_validation sessions_test instances_train "
        "instances_validation instances_test items warm_items cold_items distinct_texts mean_length "
        "cold_test_targets demo order_known twin_of note",
        "metrics": "dataset model seed split part scope targets catalogue metric k value instances",
        "significance": "dataset model_a model_b scope metric k mean_a mean_b difference se df low high p se_i "
        "low_i high_i p_i boot_low boot_high p_wilcoxon p_signflip d_z wins ties losses sessions instances "
        "seeds_a seeds_b p_holm p_bh",
        "claims": "claim dataset statement rule comparison scope metric primary difference low high p p_holm "
        "verdict note",
        "long_tail": "dataset model bin bin_label low_count high_count metric k value low high instances "
        "difference difference_low difference_high gain_over_id_only gain_over_best_fusion best_fusion",
        "coverage": "dataset model seed coverage gini mean_popularity",
        "imbalance": "dataset model seed network network_epoch updates part hits20 loss gradient_norm gradient_ratio "
        "update_size update_ratio score_share",
        "undertraining": "dataset model part alone inside gap low high p",
        "permuted": "dataset twin model difference low high p",
        "alpha": "dataset model seed blend alpha split metric k value chosen",
        "history": "dataset model seed epoch network network_epoch updates labels mode learning_rate loss hits20 "
        "id_hits20 text_hits20 id_loss text_loss id_gradient_norm text_gradient_norm id_update_size text_update_size "
        "id_score_share seconds",
        "cost": "dataset model seed seconds",
        "budgets": "dataset model seed network updates labels best_epoch treated_epoch",
        "tuning": "dataset model seed trial rung learning_rate dropout initialisation schedule text_learning_rate "
        "text_dropout text_initialisation text_schedule own validation_hits20 best_epoch epochs updates seconds edge",
    }.items()
}
