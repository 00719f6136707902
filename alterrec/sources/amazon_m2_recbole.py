"""Amazon-M2 from RecBole's mirror: atomic files with one click per row and a header of name:type.

Source: https://github.com/RUCAIBox/RecSysDatasets. The source amazon_m2 reads the same data from the challenge's files.
Columns are found by the names in `NAMES`, because the mirror's files could not be inspected when this was written. A
header that lacks a needed column is an error that prints it. As in amazon_m2, ids are LOCALE/id and LOCALE-session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alterrec.errors import UserError
from alterrec.files import file_checksum
from alterrec.readers import id_lists
from alterrec.readers.archives import members, open_member
from alterrec.readers.bad_rows import BadRows
from alterrec.readers.downloads import Download, fetch
from alterrec.readers.tabular import Block, TableFile, column_names, read_blocks
from alterrec.sources._raw import Raw, joined_text
from alterrec.sources.amazon_m2 import (
    CITATION,
    ITEMS,
    LICENCE,
    REPEATS,
    TASK,
    LocalesConfig,
    differences_from_published,
    in_locales,
    item_ids,
    with_valid_ids,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ARCHIVE = Download(
    "amazon_m2/amazon_m2.zip",
    "https://recbole.s3-accelerate.amazonaws.com/ProcessedDatasets/Amazon_M2/amazon_m2.zip",
    by_hand="if the mirror answers Access Denied, use the source amazon_m2, which reads the challenge's own files",
)
PUBLISHED = {"sessions": 3_606_349, "products": 1_410_675, "clicks": 15_306_183}  # as the mirror lists them
NAMES = {  # field -> possible names of its column; the first one that the file has is used
    "session": ("session_id", "sess_id", "session", "user_id"),
    "item": ("item_id", "product_id", "item", "id"),
    "locale": ("locale", "item_locale", "product_locale"),
    "title": ("title", "item_title", "product_title"),
    "order": ("timestamp", "time", "order", "position"),
}
TYPES = {"title": ("token", "token_seq"), "order": ("float",)}  # of every other field: token
NUMBER = r"\A-?\d+(\.\d+)?([eE][+-]?\d+)?\z"


class Config(LocalesConfig):
    """Which locales to read. An item's text is its title."""


def fetch_files(config: Config) -> list[Path]:
    """The archive, downloaded if the cache lacks it."""
    return [fetch(ARCHIVE)]


def load(config: Config) -> Raw:
    """Read the chosen locales. UserError names an unknown layout, or the file and line that is wrong."""
    (archive,) = fetch_files(config)
    item_file, inter_file = (_member(archive, ending) for ending in (".item", ".inter"))
    item_fields = _fields(item_file, ["item", "locale", "title"])
    click_fields = _fields(inter_file, ["session", "item"], ["locale", "order"])
    bad_items, bad_clicks = (BadRows(file.name, config.on_error) for file in (item_file, inter_file))
    products = _products(_blocks(item_file, item_fields, bad_items))
    if "locale" not in click_fields:
        _require_unique_ids(products, item_file, inter_file)
    clicks = _clicks(_blocks(inter_file, click_fields, bad_clicks), products)
    read = {
        "sessions": _count_distinct(clicks["session_id"]),
        "products": len(products),
        "clicks": len(clicks),
    }
    published = {f"{what} of all locales": count for what, count in PUBLISHED.items()}
    read = {f"{what} of all locales": count for what, count in read.items()}
    order = f"by the column {click_fields['order']}" if "order" in click_fields else "as in the file"
    return Raw(
        sessions=_sessions(_chosen(clicks, config), config.consecutive_repeats == "drop"),
        items=_chosen(products, config).select(["item_id", "text"]).to_pandas(),
        source=f"Amazon-M2 (RecBole's atomic files), {', '.join(config.locales)}",
        url="https://github.com/RUCAIBox/RecSysDatasets",
        citation=CITATION,
        licence=LICENCE,
        checksums={archive.name: file_checksum(archive)},
        notes=[
            f"The items of a session are ordered {order}.",
            ITEMS,
            REPEATS[config.consecutive_repeats],
            "An item's text is its title.",
            *differences_from_published(published, read),
        ],
        limits=["The times of the sessions are not used, so a split by time is not possible."],
        counts=read | bad_items.counts | bad_clicks.counts,
        official=published,
        sessions_name=inter_file.name,
        items_name=item_file.name,
    )


def _member(archive: Path, ending: str) -> TableFile:
    """The only member of the archive whose name has this ending."""
    names = members(archive)
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise UserError(
            f"{archive} has {len(found)} files *{ending} instead of one; it has: {', '.join(names)}: download it again"
        )
    return TableFile(found[0], partial(open_member, archive, found[0]), delimiter="\t", quoted=False)


def _fields(file: TableFile, needed: list[str], optional: list[str] = ()) -> dict[str, str]:
    """The column, such as item_id:token, of every field. UserError for a needed field without a column."""
    columns = column_names(file)
    fields = {}
    for field in (*needed, *optional):
        names = [f"{name}:{kind}" for name in NAMES[field] for kind in TYPES.get(field, ("token",))]
        found = next((name for name in names if name in columns), None)
        if found:
            fields[field] = found
        elif field in needed:
            raise UserError(
                f"{file.name} has no column for {field}: none of {', '.join(names)}; its columns: "
                f"{', '.join(columns)}: use the challenge's own files instead (source amazon_m2)"
            )
    return fields


def _blocks(file: TableFile, fields: dict[str, str], bad: BadRows) -> Iterator[Block]:
    """The file's blocks. Their columns are named after the fields."""
    for block in read_blocks(file, list(fields.values()), bad):
        columns = {field: block.columns[column] for field, column in fields.items()}
        yield with_valid_ids(replace(block, columns=columns), "item")


def _products(blocks: Iterator[Block]) -> pa.Table:
    """A table of item (the product id), locale, item_id and text, of all locales."""
    import pyarrow as pa

    tables = []
    for block in blocks:
        columns = in_locales(block, list(TASK)).columns
        text = pa.array(joined_text(pa.table(columns).to_pandas(), ["title"]), pa.large_string())
        item_id = item_ids(columns["locale"], columns["item"])
        tables.append(
            pa.table({"item": columns["item"], "locale": columns["locale"], "item_id": item_id, "text": text})
        )
    return pa.concat_tables(tables)


def _require_unique_ids(products: pa.Table, item_file: TableFile, inter_file: TableFile) -> None:
    """UserError if a product id is in several locales. Clicks without a locale then belong to no known product."""
    repeated = len(products) - _count_distinct(products["item"])
    if repeated:
        raise UserError(
            f"{inter_file.name} has no column for locale ({', '.join(NAMES['locale'])}), and {repeated} rows of "
            f"{item_file.name} repeat the id of an earlier row, so the product of a click is unknown; the columns of "
            f"{inter_file.name}: {', '.join(column_names(inter_file))}: use the challenge's own files instead (source "
            "amazon_m2)"
        )


def _clicks(blocks: Iterator[Block], products: pa.Table) -> pa.Table:
    """A table of locale, session_id, item_id and, where the file has it, order, of all locales in the file's order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = []
    for block in blocks:
        block = block if "locale" in block.columns else _with_locale(block, products)
        block = with_valid_ids(block, "session")
        columns = _with_valid_order(in_locales(block, list(TASK))).columns
        locale = columns["locale"]
        session_id = pc.binary_join_element_wise(locale, columns["session"], "-").cast(pa.large_string())
        table = {"locale": locale, "session_id": session_id, "item_id": item_ids(locale, columns["item"])}
        order = {"order": columns["order"].cast(pa.float64())} if "order" in columns else {}
        tables.append(pa.table(table | order))
    return pa.concat_tables(tables)


def _with_locale(block: Block, products: pa.Table) -> Block:
    """The block with a column locale, looked up by item. Rows with an unknown item are malformed."""
    import numpy as np
    import pyarrow.compute as pc

    rows = pc.index_in(block.columns["item"], products["item"])
    locale = products["locale"].take(rows).combine_chunks().fill_null("?")
    block = replace(block, columns=block.columns | {"locale": locale})
    return block.reject(np.asarray(rows.is_null()), "item that the file of items lacks")


def _with_valid_order(block: Block) -> Block:
    """The rows whose order is a number, or all rows of a block without order."""
    import numpy as np
    import pyarrow.compute as pc

    if "order" not in block.columns:
        return block
    valid = np.asarray(pc.match_substring_regex(block.columns["order"], NUMBER))
    return block.reject(~valid, "order that is not a number")


def _count_distinct(column: pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return pc.count_distinct(column).as_py()


def _chosen(table: pa.Table, config: Config) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = table.filter(pc.is_in(table["locale"], pa.array(config.locales)))
    if not len(chosen):
        raise UserError(f"{ARCHIVE.path} has nothing of {', '.join(config.locales)}: choose other `locales`")
    return chosen


def _sessions(clicks: pa.Table, drop_repeats: bool) -> pd.DataFrame:
    """session_id and items, in the order of the sessions' first clicks in the file."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    encoded = clicks["session_id"].dictionary_encode().combine_chunks()
    session = encoded.indices.to_numpy()
    order = clicks["order"].to_numpy() if "order" in clicks.column_names else np.zeros(len(clicks))
    ids = clicks["item_id"].combine_chunks().take(pa.array(np.lexsort((order, session))))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(session))])
    if drop_repeats:
        offsets, ids = id_lists.without_repeats(offsets, ids)
    items = pd.arrays.ArrowExtensionArray(id_lists.large(offsets, ids))
    return pd.DataFrame({"session_id": encoded.dictionary.to_pandas(), "items": items})
