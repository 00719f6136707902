"""Amazon-M2 as RecBole's mirror has it: atomic files, one click in each row, with a header of name:type.

Source: https://github.com/RUCAIBox/RecSysDatasets; the data as in amazon_m2.py, whose files are the challenge's own.
The mirror's columns could not be looked at when this was written: they are found by their names, and a header
without one that is needed is refused and printed. Ids are as in amazon_m2.py: LOCALE/id and LOCALE-session.
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
from alterrec.readers.records import Block, File, header, records
from alterrec.sources._raw import Raw, joined_text
from alterrec.sources.amazon_m2 import (
    CITATION,
    ITEMS,
    LICENCE,
    REPEATS,
    TASK,
    Shops,
    item_ids,
    of_ids,
    of_locales,
    unlike_published,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ARCHIVE = Download(
    "amazon_m2/amazon_m2.zip",
    "https://recbole.s3-accelerate.amazonaws.com/ProcessedDatasets/Amazon_M2/amazon_m2.zip",
    by_hand="the mirror may answer Access Denied; the source amazon_m2 reads the challenge's own files instead",
)
PUBLISHED = {"sessions": 3_606_349, "products": 1_410_675, "clicks": 15_306_183}  # the mirror's own list
NAMES = {  # field -> the names that its column may have, the first that is there is used
    "session": ("session_id", "sess_id", "session", "user_id"),
    "item": ("item_id", "product_id", "item", "id"),
    "locale": ("locale", "item_locale", "product_locale"),
    "title": ("title", "item_title", "product_title"),
    "order": ("timestamp", "time", "order", "position"),
}
TYPES = {"title": ("token", "token_seq"), "order": ("float",)}  # of the others: token
NUMBER = r"\A-?\d+(\.\d+)?([eE][+-]?\d+)?\z"


class Config(Shops):
    """The locales that are used; an item's text is its title."""


def load(config: Config) -> Raw:
    """Read the chosen locales. UserError for an unknown layout, and for what is wrong in which line."""
    archive = fetch(ARCHIVE)
    item_file, inter_file = (_member(archive, ending) for ending in (".item", ".inter"))
    of_item = _fields(item_file, ["item", "locale", "title"])
    of_click = _fields(inter_file, ["session", "item"], ["locale", "order"])
    bad_items, bad_clicks = (BadRows(file.name, config.on_error) for file in (item_file, inter_file))
    products = _products(_blocks(item_file, of_item, bad_items))
    if "locale" not in of_click:
        _refuse_shared(products, item_file, inter_file)
    clicks = _clicks(_blocks(inter_file, of_click, bad_clicks), products)
    read = {"sessions": _distinct(clicks["session_id"]), "products": len(products), "clicks": len(clicks)}
    published = {f"{what} of all locales": count for what, count in PUBLISHED.items()}
    read = {f"{what} of all locales": count for what, count in read.items()}
    ordered = f"the column {of_click['order']}" if "order" in of_click else "the rows of the file"
    return Raw(
        sessions=_sessions(_chosen(clicks, config), config.consecutive_repeats == "drop"),
        items=_chosen(products, config).select(["item_id", "text"]).to_pandas(),
        source=f"Amazon-M2 (RecBole's atomic files), {', '.join(config.locales)}",
        url="https://github.com/RUCAIBox/RecSysDatasets",
        citation=CITATION,
        licence=LICENCE,
        checksums={archive.name: file_checksum(archive)},
        notes=[
            f"A session's items are ordered by {ordered}.",
            ITEMS,
            REPEATS[config.consecutive_repeats],
            "An item's text is its title.",
            *unlike_published(published, read),
        ],
        limits=["No time of the sessions is used: a split by time is not possible."],
        counts=read | bad_items.counts | bad_clicks.counts,
        official=published,
        sessions_name=inter_file.name,
        items_name=item_file.name,
    )


def _member(archive: Path, ending: str) -> File:
    """The only member of the archive whose name ends so."""
    names = members(archive)
    found = [name for name in names if name.endswith(ending)]
    if len(found) != 1:
        raise UserError(
            f"{archive} has {len(found)} files *{ending} instead of one; it has: {', '.join(names)}"
        )
    return File(found[0], partial(open_member, archive, found[0]), delimiter="\t", quote=False)


def _fields(file: File, needed: list[str], optional: list[str] = ()) -> dict[str, str]:
    """Field -> column such as item_id:token. UserError, which prints the header, where a needed one is not found."""
    columns = header(file)
    fields = {}
    for field in (*needed, *optional):
        names = [f"{name}:{kind}" for name in NAMES[field] for kind in TYPES.get(field, ("token",))]
        found = next((name for name in names if name in columns), None)
        if found:
            fields[field] = found
        elif field in needed:
            raise UserError(
                f"{file.name} has no column for {field}: none of {', '.join(names)}; its header: "
                f"{', '.join(columns)}: use the challenge's own files instead (source amazon_m2)"
            )
    return fields


def _blocks(file: File, fields: dict[str, str], bad: BadRows) -> Iterator[Block]:
    """The file's blocks, their columns called by their fields."""
    for block in records(file, list(fields.values()), bad):
        columns = {field: block.columns[column] for field, column in fields.items()}
        yield of_ids(replace(block, columns=columns), "item")


def _products(blocks: Iterator[Block]) -> pa.Table:
    """item (the id in its locale), locale, item_id and text of all locales."""
    import pyarrow as pa

    tables = []
    for block in blocks:
        columns = of_locales(block, list(TASK)).columns
        text = pa.array(joined_text(pa.table(columns).to_pandas(), ["title"]), pa.large_string())
        item_id = item_ids(columns["locale"], columns["item"])
        tables.append(
            pa.table({"item": columns["item"], "locale": columns["locale"], "item_id": item_id, "text": text})
        )
    return pa.concat_tables(tables)


def _refuse_shared(products: pa.Table, item_file: File, inter_file: File) -> None:
    shared = len(products) - _distinct(products["item"])
    if shared:
        raise UserError(
            f"{inter_file.name} has no column for locale ({', '.join(NAMES['locale'])}), and {shared} rows of "
            f"{item_file.name} have an id that an earlier one has: whose clicks they are cannot be told; the header "
            f"of {inter_file.name}: {', '.join(header(inter_file))}"
        )


def _clicks(blocks: Iterator[Block], products: pa.Table) -> pa.Table:
    """locale, session_id, item_id and, where the file has it, order of all locales, in the file's order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tables = []
    for block in blocks:
        block = of_ids(block if "locale" in block.columns else _with_locale(block, products), "session")
        columns = _with_order(of_locales(block, list(TASK))).columns
        locale = columns["locale"]
        session_id = pc.binary_join_element_wise(locale, columns["session"], "-").cast(pa.large_string())
        table = {"locale": locale, "session_id": session_id, "item_id": item_ids(locale, columns["item"])}
        order = {"order": columns["order"].cast(pa.float64())} if "order" in columns else {}
        tables.append(pa.table(table | order))
    return pa.concat_tables(tables)


def _with_locale(block: Block, products: pa.Table) -> Block:
    """The block with the locales of its items."""
    import numpy as np
    import pyarrow.compute as pc

    rows = pc.index_in(block.columns["item"], products["item"])
    locale = products["locale"].take(rows).combine_chunks().fill_null("?")
    block = replace(block, columns=block.columns | {"locale": locale})
    return block.without(np.asarray(rows.is_null()), "item that the file of items lacks")


def _with_order(block: Block) -> Block:
    """The rows whose order, if the block has one, is a number."""
    import numpy as np
    import pyarrow.compute as pc

    if "order" not in block.columns:
        return block
    right = np.asarray(pc.match_substring_regex(block.columns["order"], NUMBER))
    return block.without(~right, "no number in the column that orders")


def _distinct(column: pa.ChunkedArray) -> int:
    import pyarrow.compute as pc

    return pc.count_distinct(column).as_py()


def _chosen(table: pa.Table, config: Config) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = table.filter(pc.is_in(table["locale"], pa.array(config.locales)))
    if not len(chosen):
        raise UserError(f"{ARCHIVE.path} has nothing of {', '.join(config.locales)}: choose other locales")
    return chosen


def _sessions(clicks: pa.Table, drop_repeats: bool) -> pd.DataFrame:
    """session_id, by first click in the file, and items."""
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
