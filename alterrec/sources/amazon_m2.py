"""Amazon-M2, the KDD Cup 2023 files: sessions in six shops of Amazon, and the products' titles.

Source: W. Jin et al., Amazon-M2, NeurIPS 2023 Datasets and Benchmarks (arXiv:2307.09688). The files are had from
the challenge's page after its terms are accepted; nothing is downloaded here.

A product's id and its texts are its own within a locale only. So an item is LOCALE/id, always, the same whatever
locales are chosen, and a session LOCALE-number, with the record's number in its file (of a test file
LOCALE-phase1-number).
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
from alterrec.readers.records import Block, File, header, records, require
from alterrec.sources._raw import DatasetConfig, Raw, joined_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

logger = logging.getLogger(__name__)

Locale = Literal["DE", "JP", "UK", "ES", "FR", "IT"]
TASK = {"DE": 1, "JP": 1, "UK": 1, "ES": 2, "FR": 2, "IT": 2}  # whose test files have the locale
PHASE = {"validation": 1, "test": 2}
OFFICIAL = {"DE": 1_111_416, "JP": 979_119, "UK": 1_182_181, "ES": 89_047, "FR": 117_561, "IT": 126_925}
ENDINGS = (".csv", ".csv.gz", ".parquet")
TERMS = "https://www.aicrowd.com/challenges/amazon-kdd-cup-23-multilingual-recommendation-challenge"
CITATION = (
    "W. Jin et al., Amazon-M2: A Multilingual Multi-locale Shopping Session Dataset for Recommendation and "
    "Text Generation, NeurIPS 2023 Datasets and Benchmarks, arXiv:2307.09688"
)
LICENCE = "Apache 2.0, as the authors of Amazon-M2 publish it"
ITEMS = "An item is LOCALE/id: a product's id and texts are its own within a locale only."
REPEATS = {
    "keep": "An item that follows itself in a session is kept as often as it is there.",
    "drop": "An item that follows itself in a session is kept once.",
}


class Shops(DatasetConfig):
    """What both sources of these data let one choose."""

    locales: list[Locale] = Field(min_length=1, description="shops: DE, JP, UK, ES, FR or IT")
    consecutive_repeats: Literal["keep", "drop"] = Field(
        "keep", description="an item that follows itself in a session stays as often as it is there, or once"
    )


class Config(Shops):
    """The locales that are used.

    `split: given` is the challenge's and needs sessions_test_task1_phase1 and _phase2 (DE, JP, UK), or task2 (ES,
    FR, IT). Their targets are a column next_item, or gt_task1_phase1 and so on, with a next_item for each record.
    """

    folder: str | None = Field(
        None, description="where the files are; null = amazon_m2/ in the mirror or cache of downloads"
    )
    text_columns: list[str] = Field(
        ["title"], min_length=1, description="columns of products_train.csv, joined in this order"
    )


def load(config: Config) -> Raw:
    """Read the chosen locales. UserError names the files that are missing, and what is wrong in which line."""
    paths = _find(config)
    files = {name: File.at(path) for name, path in paths.items()}
    for name, file in files.items():
        require(file, _columns(name, file, config))
    sessions, read = read_sessions(files, config)
    items, dropped = read_products(files["products_train"], config)
    official = {f"sessions of {locale}": OFFICIAL[locale] for locale in config.locales}
    differences = unlike_published(official, read)
    return Raw(
        sessions=sessions,
        items=items,
        source=f"Amazon-M2 (KDD Cup 2023), {', '.join(config.locales)}",
        url=TERMS,
        citation=CITATION,
        licence=LICENCE,
        checksums={path.name: file_checksum(path) for path in paths.values()},
        notes=[*_notes(files, config), *differences],
        limits=["The files have no time stamps: a split by time is not possible."],
        counts=read | dropped | {"products without text": int((items["text"] == "").sum())},
        official=official,
        sessions_name=files["sessions_train"].name,
        items_name=files["products_train"].name,
    )


def read_sessions(files: dict[str, File], config: Config) -> tuple[pd.DataFrame, dict[str, int]]:
    """The chosen locales' sessions (as in `Raw`, items an Arrow list column), and how many were read and dropped."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    tables, counts = [], {}
    for name, split in _parts(config).items():
        bad = BadRows(files[name].name, config.on_error)
        table = pa.concat_tables(_sessions_of(name, files, config, bad))
        read = {row["values"]: row["counts"] for row in pc.value_counts(table["locale"]).to_pylist()}
        for locale in config.locales:
            if locale not in read and (split == "train" or f"task{TASK[locale]}" in name):
                raise UserError(f"{bad.file} has no session of {locale}: choose other locales")
        of = "sessions" if split == "train" else f"{split} sessions"
        counts |= {f"{of} of {locale}": count for locale, count in sorted(read.items())} | bad.counts
        tables.append(table.append_column("split", pa.array([split] * len(table), pa.string())))
    wanted = ["session_id", "items", "split"] if config.split == "given" else ["session_id", "items"]
    table = pa.concat_tables(tables).select(wanted)
    lists = table.schema.field("items").type
    return table.to_pandas(types_mapper={lists: pd.ArrowDtype(lists)}.get), counts


def read_products(file: File, config: Config) -> tuple[pd.DataFrame, dict[str, int]]:
    """The chosen locales' products, item_id and text, in the file's order, and how many rows were dropped."""
    import pyarrow as pa

    bad = BadRows(file.name, config.on_error)
    tables = []
    for block in records(file, _columns("products_train", file, config), bad):
        columns = of_ids(of_locales(block, config.locales), "id").columns
        texts = joined_text(pa.table(columns).to_pandas(), config.text_columns)
        item_id = item_ids(columns["locale"], columns["id"])
        tables.append(pa.table({"item_id": item_id, "text": pa.array(texts, pa.large_string())}))
    if not sum(map(len, tables)):
        raise UserError(f"{file.name} has no product of {', '.join(config.locales)}")
    return pa.concat_tables(tables).to_pandas(), bad.counts


def of_locales(block: Block, chosen: list[str]) -> Block:
    """The rows whose column locale is one of `chosen`; one that is empty or unknown is malformed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    block = block.without(np.asarray(pc.equal(block.columns["locale"], "")), "no locale")
    unknown = ~np.asarray(pc.is_in(block.columns["locale"], pa.array(list(TASK))))
    if unknown.any():
        name = block.columns["locale"][int(unknown.argmax())].as_py()
        message = f"unknown locale {name!r}{nearest(name, TASK)}; known: {', '.join(TASK)}"
        block = block.without(unknown, "unknown locale", message)
    return block.only(np.asarray(pc.is_in(block.columns["locale"], pa.array(chosen))))


def of_ids(block: Block, column: str) -> Block:
    """The rows that have an id in a column; others are malformed."""
    right = id_lists.is_id(block.columns[column])
    if right.all():
        return block
    value = block.columns[column][int(right.argmin())].as_py()
    return block.without(~right, f"no valid {column}", f"{column} {value[:80]!r} is no id")


def item_ids(locale: pa.Array, ids: pa.Array) -> pa.Array:
    """LOCALE/id as large strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(locale, ids, "/").cast(pa.large_string())


def unlike_published(published: dict[str, int], read: dict[str, int]) -> list[str]:
    """A sentence for each published count that the data do not have; it is logged as a warning, too."""
    differences = [
        f"Unlike the published data: {read[what]:,} {what} were read, {count:,} are published."
        for what, count in published.items()
        if read[what] != count
    ]
    for difference in differences:
        logger.warning("amazon_m2: %s", difference)
    return differences


def _find(config: Config) -> dict[str, Path]:
    """Name without ending -> path, of the files that are used. UserError lists those that are missing."""
    needed = [*_parts(config), "products_train"]
    looked = {name: _look(name, config.folder) for name in needed}
    missing = {name: why for name, why in looked.items() if not isinstance(why, Path)}
    if missing:
        names = ", ".join(f"{name}.csv" for name in missing)
        raise UserError(
            f"source amazon_m2: missing: {names}: accept the terms at {TERMS}, download the files and put them there, "
            f"each as .csv, .csv.gz or .parquet ({next(iter(missing.values()))})"
        )
    truths = {_truth(name): _look(_truth(name), config.folder) for name in needed if "_test_" in name}
    return looked | {name: path for name, path in truths.items() if isinstance(path, Path)}


def _look(name: str, folder: str | None) -> Path | str:
    """The path of a file, or why there is none."""
    reasons = []
    for ending in ENDINGS:
        try:
            if folder is None:
                return fetch(Download(f"amazon_m2/{name}{ending}", url=None, by_hand="get it by hand"))
            path = Path(folder) / f"{name}{ending}"
            if path.is_file():
                return path
            raise UserError(f"there is no {path}")
        except UserError as error:
            reasons.append(str(error))
    return "; ".join(reasons)


def _parts(config: Config) -> dict[str, str]:
    """The files of sessions that are used, and the split of each."""
    parts = {"sessions_train": "train"}
    if config.split == "given":
        tasks = sorted({TASK[locale] for locale in config.locales})
        for split, phase in PHASE.items():
            parts |= {f"sessions_test_task{task}_phase{phase}": split for task in tasks}
    return parts


def _truth(name: str) -> str:
    return name.replace("sessions_test", "gt")


def _columns(name: str, file: File, config: Config) -> list[str]:
    if name == "products_train":
        return list(dict.fromkeys(["id", "locale", *config.text_columns]))
    if name.startswith("gt_"):
        return ["next_item"]
    optional = "_test_" in name and "next_item" not in header(file)
    return ["prev_items", "locale"] if optional else ["prev_items", "locale", "next_item"]


def _sessions_of(name: str, files: dict[str, File], config: Config, bad: BadRows) -> Iterator[pa.Table]:
    """Tables of locale, session_id and items, one for each block of a file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    phase = name.partition("_phase")[2]
    for block in _targeted(name, files, config, bad):
        block = _printed(of_locales(block, config.locales))
        block = of_ids(block, "next_item") if "next_item" in block.columns else block
        locale, number = block.columns["locale"], pa.array(block.numbers).cast(pa.string())
        session_id = pc.binary_join_element_wise(locale, number, f"-phase{phase}-" if phase else "-")
        items = _items(block.columns, config.consecutive_repeats == "drop")
        yield pa.table({"locale": locale, "session_id": session_id, "items": items})


def _targeted(name: str, files: dict[str, File], config: Config, bad: BadRows) -> Iterator[Block]:
    """The blocks of a file of sessions, with next_item from its ground truth where it has none itself."""
    import pyarrow as pa

    file, truth_file = files[name], files.get(_truth(name))
    columns = _columns(name, file, config)
    if "next_item" in columns or truth_file is None:
        yield from records(file, columns, bad)
        return
    blocks = records(truth_file, ["next_item"], BadRows(truth_file.name, "strict"))
    truth = pa.chunked_array([block.columns["next_item"] for block in blocks], pa.string())
    last = 0
    for block in records(file, columns, bad):
        last = int(block.numbers.max(initial=last))
        if last <= len(truth):
            targets = truth.take(pa.array(block.numbers - 1)).combine_chunks()
            yield replace(block, columns=block.columns | {"next_item": targets})
    if last != len(truth):
        raise UserError(
            f"{truth_file.name} has {len(truth)} records, {file.name} {last}: they must answer each other in turn"
        )


def _printed(block: Block) -> Block:
    """The rows whose prev_items is a printed array; others are malformed, each in its way."""
    import numpy as np

    right = id_lists.is_printed(block.columns["prev_items"])
    if right.all():
        return block
    wrong = block.only(~right).columns["prev_items"].to_pylist()
    faults = np.full(len(block), "", dtype=object)
    faults[~right] = [id_lists.fault(value) for value in wrong]
    for fault in dict.fromkeys(faults[~right]):
        value = wrong[list(faults[~right]).index(fault)]
        message = f"prev_items {value[:80]!r}: {fault}; expected is such as ['B01' 'B02']"
        block.without(faults == fault, f"prev_items with {fault}", message)
    return block.only(right)


def _items(columns: dict[str, pa.Array], drop_repeats: bool) -> pa.LargeListArray:
    """prev_items and then next_item, each LOCALE/id."""
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


def _notes(files: dict[str, File], config: Config) -> list[str]:
    notes = [
        "A session is prev_items and then next_item, as the record has them.",
        ITEMS,
        REPEATS[config.consecutive_repeats],
        f"An item's text joins the columns {', '.join(config.text_columns)}.",
    ]
    if config.split == "given":
        notes.append("The challenge's split: sessions_train is train, phase 1 validation, phase 2 test.")
    for name in _parts(config):
        if "next_item" not in _columns(name, files[name], config) and _truth(name) not in files:
            notes.append(f"{files[name].name} has no next_item: a session ends with its last known item.")
    return notes
