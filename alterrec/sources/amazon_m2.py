"""Amazon-M2, the KDD Cup 2023 files: sessions in six locales of Amazon's shop, and the titles of the products.

Source: W. Jin et al., Amazon-M2, NeurIPS 2023 Datasets and Benchmarks (arXiv:2307.09688). The challenge's page offers
the files once its terms are accepted. This source therefore downloads nothing.

The same product id means different products in different locales. An item id is therefore always LOCALE/id, whichever
locales are chosen. A session id is LOCALE-number, where number is the row of the session in its file; in a test file
it is LOCALE-phase1-number or LOCALE-phase2-number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alterrec.errors import UserError, nearest
from alterrec.files import file_checksum
from alterrec.readers import id_lists
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.readers.tabular import Block, TableFile, column_names, read_blocks, require_columns
from alterrec.sources._raw import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

Locale = Literal["DE", "JP", "UK", "ES", "FR", "IT"]
# The challenge's task whose test files hold the locale.
TASK = {"DE": 1, "JP": 1, "UK": 1, "ES": 2, "FR": 2, "IT": 2}
PHASE = {"validation": 1, "test": 2}
OFFICIAL = {"DE": 1_111_416, "JP": 979_119, "UK": 1_182_181, "ES": 89_047, "FR": 117_561, "IT": 126_925}
ENDINGS = (".csv", ".csv.gz", ".parquet")
TERMS = "https://www.aicrowd.com/challenges/amazon-kdd-cup-23-multilingual-recommendation-challenge"
CITATION = (
    "W. Jin et al., Amazon-M2: A Multilingual Multi-locale Shopping Session Dataset for Recommendation and "
    "Text Generation, NeurIPS 2023 Datasets and Benchmarks, arXiv:2307.09688"
)
LICENCE = "Apache 2.0, as the authors of Amazon-M2 publish it"
ITEMS = "An item is LOCALE/id, because the same product id means different products in different locales."
REPEATS = {
    "keep": "Consecutive repeats of an item in a session are kept.",
    "drop": "Of consecutive repeats of an item in a session, one is kept.",
}


class LocalesConfig(DatasetConfig):
    """The settings that this source and amazon_m2_recbole share."""

    locales: list[Locale] = Field(min_length=1, description="Locales to read: DE, JP, UK, ES, FR or IT")
    consecutive_repeats: Literal["keep", "drop"] = Field(
        "keep",
        description="What to do when an item follows itself in a session. 'keep' keeps all occurrences, 'drop' one",
    )


class Config(LocalesConfig):
    """Which locales to read, and where the files are.

    `split: given` is the split of the challenge. It needs the files sessions_test_task1_phase1 and _phase2 (for DE,
    JP, UK) or sessions_test_task2_phase1 and _phase2 (for ES, FR, IT). Their targets are read from a column next_item
    or from the files gt_task1_phase1 and so on, which have one next_item per row.
    """

    folder: str | None = Field(
        None,
        description="Folder of the files. null means amazon_m2/ in the mirror or in the cache of downloads",
    )
    text_columns: list[str] = Field(
        ["title"],
        min_length=1,
        description="Columns of products_train.csv that are joined to an item's text, in this order",
    )


def fetch_files(config: Config) -> list[Path]:
    """The challenge's files: those of `folder`, or those of the mirror and the cache."""
    return list(_find_files(config).values())


def load(config: Config) -> Raw:
    """Read the chosen locales. UserError names missing files, or the file and line that is wrong."""
    paths = _find_files(config)
    files = {name: TableFile.at(path) for name, path in paths.items()}
    for name, file in files.items():
        remedy = "download the file again, or correct text_columns"
        require_columns(file, column_names(file), _columns(name, file, config), remedy)
    sessions, read = read_sessions(files, config)
    items, dropped = read_products(files["products_train"], config)
    official = {f"sessions of {locale}": OFFICIAL[locale] for locale in config.locales}
    differences = differences_from_published(official, read)
    return Raw(
        sessions=sessions,
        items=items,
        source=f"Amazon-M2 (KDD Cup 2023), {', '.join(config.locales)}",
        url=TERMS,
        citation=CITATION,
        licence=LICENCE,
        checksums={path.name: file_checksum(path) for path in paths.values()},
        notes=[*_notes(files, config), *differences],
        limits=["The files have no timestamps, so a split by time is not possible."],
        counts=read | dropped | {"products without text": int((items["text"] == "").sum())},
        official=official,
        sessions_name=files["sessions_train"].name,
        items_name=files["products_train"].name,
    )


def read_sessions(files: dict[str, TableFile], config: Config) -> tuple[pd.DataFrame, dict[str, int]]:
    """The sessions of the chosen locales, as in `Raw` with an Arrow list column of items, and counts for the card."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, counts = [], {}
    for name, split in _split_of_file(config).items():
        bad = BadRows(files[name].name, config.on_error)
        table = pa.concat_tables(_session_tables(name, files, config, bad))
        read = {row["values"]: row["counts"] for row in pc.value_counts(table["locale"]).to_pylist()}
        for locale in config.locales:
            if locale not in read and (split == "train" or f"task{TASK[locale]}" in name):
                raise UserError(f"{bad.file} has no session of {locale}: remove {locale} from `locales`")
        sessions = "sessions" if split == "train" else f"{split} sessions"
        counts |= {f"{sessions} of {locale}": count for locale, count in sorted(read.items())} | bad.counts
        tables.append(table.append_column("split", pa.array([split] * len(table), pa.string())))
    columns = ["session_id", "items", "split"] if config.split == "given" else ["session_id", "items"]
    table = pa.concat_tables(tables).select(columns)
    list_type = table.schema.field("items").type
    return table.to_pandas(types_mapper={list_type: pd.ArrowDtype(list_type)}.get), counts


def read_products(file: TableFile, config: Config) -> tuple[pd.DataFrame, dict[str, int]]:
    """item_id and text of the products of the chosen locales, in the file's order, and how many rows were dropped."""
    import pyarrow as pa

    bad = BadRows(file.name, config.on_error)
    tables = []
    for block in read_blocks(file, _columns("products_train", file, config), bad):
        columns = with_valid_ids(in_locales(block, config.locales), "id").columns
        texts = joined_text(pa.table(columns).to_pandas(), config.text_columns)
        item_id = item_ids(columns["locale"], columns["id"])
        tables.append(pa.table({"item_id": item_id, "text": pa.array(texts, pa.large_string())}))
    if not sum(map(len, tables)):
        raise UserError(f"{file.name} has no product of {', '.join(config.locales)}: choose other `locales`")
    return pa.concat_tables(tables).to_pandas(), bad.counts


def in_locales(block: Block, chosen: list[str]) -> Block:
    """The rows whose column locale is one of `chosen`. An empty or unknown locale makes a row malformed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    block = block.reject(np.asarray(pc.equal(block.columns["locale"], "")), "no locale")
    unknown = ~np.asarray(pc.is_in(block.columns["locale"], pa.array(list(TASK))))
    if unknown.any():
        name = block.columns["locale"][int(unknown.argmax())].as_py()
        message = f"unknown locale {name!r}{nearest(name, TASK)}; known: {', '.join(TASK)}"
        block = block.reject(unknown, "unknown locale", message)
    return block.filter(np.asarray(pc.is_in(block.columns["locale"], pa.array(chosen))))


def with_valid_ids(block: Block, column: str) -> Block:
    """The rows that have a valid id in `column`. The others are malformed."""
    valid = id_lists.is_id(block.columns[column])
    if valid.all():
        return block
    value = block.columns[column][int(valid.argmin())].as_py()
    return block.reject(~valid, f"no valid {column}", f"{column} {value[:80]!r} is not an id")


def item_ids(locale: pa.Array, ids: pa.Array) -> pa.Array:
    """The item ids LOCALE/id, as large strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(locale, ids, "/").cast(pa.large_string())


def differences_from_published(published: dict[str, int], read: dict[str, int]) -> list[str]:
    """A sentence for each count that differs from the published one. Each is also logged as a warning."""
    differences = [
        f"Unlike the published data: {read[what]:,} {what} were read, {count:,} are published."
        for what, count in published.items()
        if read[what] != count
    ]
    for difference in differences:
        logger.warning("amazon_m2: %s", difference)
    return differences


def _find_files(config: Config) -> dict[str, Path]:
    """The paths of the needed files by name without ending. UserError lists the missing ones."""
    needed = [*_split_of_file(config), "products_train"]
    found = {name: _find_file(name, config.folder) for name in needed}
    missing = {name: reason for name, reason in found.items() if not isinstance(reason, Path)}
    if missing:
        names = ", ".join(f"{name}.csv" for name in missing)
        raise UserError(
            f"source amazon_m2: missing: {names}: accept the terms at {TERMS}, download the files and put them into "
            f"the folder, each as .csv, .csv.gz or .parquet ({next(iter(missing.values()))})"
        )
    truths = {
        _truth_name(name): _find_file(_truth_name(name), config.folder) for name in needed if "_test_" in name
    }
    return found | {name: path for name, path in truths.items() if isinstance(path, Path)}


def _find_file(name: str, folder: str | None) -> Path | str:
    """The path of a file, or the reason why there is none."""
    reasons = []
    for ending in ENDINGS:
        try:
            if folder is None:
                return fetch(Download(f"amazon_m2/{name}{ending}", url=None, by_hand="download it by hand"))
            path = Path(folder) / f"{name}{ending}"
            if path.is_file():
                return path
            raise UserError(f"there is no {path}")
        except UserError as error:
            reasons.append(str(error))
    return "; ".join(reasons)


def _split_of_file(config: Config) -> dict[str, str]:
    """The split of each file of sessions that is read, by its name without ending."""
    split_of = {"sessions_train": "train"}
    if config.split == "given":
        tasks = sorted({TASK[locale] for locale in config.locales})
        for split, phase in PHASE.items():
            split_of |= {f"sessions_test_task{task}_phase{phase}": split for task in tasks}
    return split_of


def _truth_name(name: str) -> str:
    """The file with the targets of the test sessions in the file `name`."""
    return name.replace("sessions_test", "gt")


def _columns(name: str, file: TableFile, config: Config) -> list[str]:
    if name == "products_train":
        return list(dict.fromkeys(["id", "locale", *config.text_columns]))
    if name.startswith("gt_"):
        return ["next_item"]
    without_target = "_test_" in name and "next_item" not in column_names(file)
    return ["prev_items", "locale"] if without_target else ["prev_items", "locale", "next_item"]


def _session_tables(
    name: str, files: dict[str, TableFile], config: Config, bad: BadRows
) -> Iterator[pa.Table]:
    """Tables of locale, session_id and items, one for each block of a file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    phase = name.partition("_phase")[2]
    for block in _blocks_with_targets(name, files, config, bad):
        block = _with_valid_lists(in_locales(block, config.locales))
        block = with_valid_ids(block, "next_item") if "next_item" in block.columns else block
        locale, number = block.columns["locale"], pa.array(block.numbers).cast(pa.string())
        session_id = pc.binary_join_element_wise(locale, number, f"-phase{phase}-" if phase else "-")
        items = _items(block.columns, config.consecutive_repeats == "drop")
        yield pa.table({"locale": locale, "session_id": session_id, "items": items})


def _blocks_with_targets(
    name: str, files: dict[str, TableFile], config: Config, bad: BadRows
) -> Iterator[Block]:
    """The blocks of a file of sessions. A file without next_item gets that column from its file of targets, if any."""
    import pyarrow as pa

    file, truth_file = files[name], files.get(_truth_name(name))
    columns = _columns(name, file, config)
    if "next_item" in columns or truth_file is None:
        yield from read_blocks(file, columns, bad)
        return
    blocks = read_blocks(truth_file, ["next_item"], BadRows(truth_file.name, "strict"))
    truth = pa.chunked_array([block.columns["next_item"] for block in blocks], pa.string())
    last = 0
    for block in read_blocks(file, columns, bad):
        last = int(block.numbers.max(initial=last))
        if last <= len(truth):
            targets = truth.take(pa.array(block.numbers - 1)).combine_chunks()
            yield replace(block, columns=block.columns | {"next_item": targets})
    if last != len(truth):
        raise UserError(
            f"{truth_file.name} has {len(truth)} rows, {file.name} {last}: download both again, their rows must match "
            "one to one"
        )


def _with_valid_lists(block: Block) -> Block:
    """The rows whose prev_items is a printed array. The others are malformed; each kind of fault has its own reason."""
    import numpy as np

    valid = id_lists.is_printed(block.columns["prev_items"])
    if valid.all():
        return block
    values = block.filter(~valid).columns["prev_items"].to_pylist()
    faults = np.full(len(block), "", dtype=object)
    faults[~valid] = [id_lists.fault(value) for value in values]
    for fault in dict.fromkeys(faults[~valid]):
        value = values[list(faults[~valid]).index(fault)]
        message = f"prev_items {value[:80]!r}: {fault}; expected something like ['B01' 'B02']"
        block.reject(faults == fault, f"prev_items with {fault}", message)
    return block.filter(valid)


def _items(columns: dict[str, pa.Array], drop_repeats: bool) -> pa.LargeListArray:
    """The item ids LOCALE/id of every session [n]: those of prev_items, then next_item."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    printed = columns["prev_items"]
    if "next_item" in columns:
        printed = pc.binary_join_element_wise(printed, columns["next_item"], " ")
    offsets, ids = id_lists.parsed(printed)
    if drop_repeats:
        offsets, ids = id_lists.without_repeats(offsets, ids)
    session = np.repeat(np.arange(len(printed)), np.diff(offsets))
    return id_lists.large(offsets, item_ids(columns["locale"].take(pa.array(session)), ids))


def _notes(files: dict[str, TableFile], config: Config) -> list[str]:
    notes = [
        "A session is one row: its prev_items, then its next_item.",
        ITEMS,
        REPEATS[config.consecutive_repeats],
        f"An item's text joins the columns {', '.join(config.text_columns)}.",
    ]
    if config.split == "given":
        notes.append(
            "The split is the challenge's: sessions_train is training, phase 1 is validation and phase 2 is test."
        )
    for name in _split_of_file(config):
        if "next_item" not in _columns(name, files[name], config) and _truth_name(name) not in files:
            notes.append(f"{files[name].name} has no next_item: its sessions end with their last known item.")
    return notes
