"""What reading Amazon-M2 costs: synthetic files of its layout and size, read in a process of its own."""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from alterrec import registry
from alterrec.bench.machine import peak_bytes

if TYPE_CHECKING:
    import numpy as np

SEED = 0
CHUNK = 100_000  # rows per write
VOCABULARY = 20_000  # words
TITLE_WORDS = 12
IDS_PER_LINE = 5  # in the text that NumPy prints for an array of ids
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PRODUCT_COLUMNS = ("price", "brand", "color", "size", "model", "material", "author", "desc")


def cost(out: Path) -> dict:
    """Measure with files of the published size, written into `out` and removed again. Returns a part of the report."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        figures = measure_parsing(folder)
    sizes = f"{figures['sessions']:,} sessions and {figures['products']:,} products in six locales"
    row = {
        "sessions per second": figures["sessions_per_second"],
        "products per second": figures["products_per_second"],
        "seconds of `load`": figures["seconds"],
        "processor seconds": figures["processor_seconds"],
        "peak MiB": figures["peak_bytes"] / 2**20,
    }
    return {
        "title": "Reading Amazon-M2",
        "remarks": [f"Synthetic files in the layout of the challenge: {sizes}, read by one process."],
        "figures": figures,
        "tables": [{"caption": "Cost of reading sessions_train.csv and products_train.csv", "rows": [row]}],
    }


def measure_parsing(folder: str | Path, sessions: int = 3_600_000, products: int = 1_410_000) -> dict:
    """Write synthetic files into `folder` and read them with all six locales, on one processor.

    Returns sessions and products per second, wall-clock and processor seconds of the whole `load` (with checksums), and
    the peak resident bytes of the reading process.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_products(folder / "products_train.csv", products)
    write_sessions(folder / "sessions_train.csv", sessions, products)
    command = [sys.executable, "-m", "alterrec.bench.parsing_cost", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout) | {"sessions": sessions, "products": products}


def write_products(path: Path, products: int) -> None:
    """Write products_train.csv: products in the order of their ids, grouped by locale, with titles of 12 words."""
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(SEED)
    words = np.array([f"word{i:x}" for i in range(VOCABULARY)], dtype=object)
    locales, bounds = locale_bounds(products)
    for start in range(0, products, CHUNK):
        rows = np.arange(start, min(start + CHUNK, products))
        titles = [" ".join(row) for row in words[generator.integers(0, VOCABULARY, (len(rows), TITLE_WORDS))]]
        locale = np.searchsorted(bounds, rows, side="right") - 1
        frame = pd.DataFrame({"id": product_ids(rows), "locale": locales[locale], "title": titles})
        frame = frame.assign(**dict.fromkeys(PRODUCT_COLUMNS, "a value"))
        append_rows(frame, path, start)


def write_sessions(path: Path, sessions: int, products: int) -> None:
    """Write sessions_train.csv: 4.2 items on average, up to 200 in a session of a thousand, some items more popular."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    generator = np.random.default_rng(SEED)
    locales, bounds = locale_bounds(products)
    for start in range(0, sessions, CHUNK):
        size = min(CHUNK, sessions - start)
        locale = np.searchsorted(bounds, generator.integers(0, products, size), side="right") - 1
        long = generator.random(size) < 0.001
        length = 1 + np.where(long, generator.integers(20, 200, size), generator.geometric(1 / 2.1, size))
        offsets = np.concatenate([[0], np.cumsum(length)])
        first, last = (np.repeat(values, length) for values in (bounds[locale], bounds[locale + 1]))
        item = first + ((last - first) * generator.random(len(first)) ** 3).astype(np.int64)
        place = np.arange(len(item)) - np.repeat(offsets[:-1], length)
        before = np.where(place == 0, "['", np.where(place % IDS_PER_LINE == 0, "'\n '", "' '"))
        printed = pc.binary_join_element_wise(
            pa.array(before.astype(object)), pa.array(product_ids(item)), ""
        )
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), printed)
        next_item = bounds[locale] + generator.integers(0, np.diff(bounds)[locale])
        frame = pd.DataFrame({"prev_items": pc.binary_join(lists, "").to_pandas() + "']"})
        append_rows(frame.assign(next_item=product_ids(next_item), locale=locales[locale]), path, start)


def locale_bounds(products: int) -> tuple[np.ndarray, np.ndarray]:
    """The locales, and the bounds [7] of their products, which are divided as the published sessions are."""
    import numpy as np

    official = registry.source("amazon_m2").OFFICIAL
    share = np.cumsum([0, *official.values()]) / sum(official.values())
    return np.array(list(official), dtype=object), (share * products).astype(np.int64)


def product_ids(rows: np.ndarray) -> np.ndarray:
    """[n] ids of ten characters, such as B00000001Z."""
    import numpy as np

    places = len(DIGITS) ** np.arange(7, -1, -1)
    codes = np.frombuffer(DIGITS.encode(), dtype="S1")[rows[:, None] // places % len(DIGITS)]
    return ("B0" + codes.view("S8").ravel().astype(str)).astype(object)


def append_rows(frame, path: Path, start: int) -> None:
    """Write the rows from row `start` of a CSV file on; the header goes before the first one."""
    frame.to_csv(path, index=False, header=start == 0, mode="a" if start else "w")


def main(folder: str) -> None:
    """Read the files and print the figures as JSON."""
    logging.disable(logging.WARNING)  # the checksums are not those of the published files
    source = registry.source("amazon_m2")
    seconds = {}
    for name in ("read_sessions", "read_products"):
        setattr(source, name, with_timer(getattr(source, name), seconds, name))
    config = source.Config(source="amazon_m2", folder=folder, locales=list(source.OFFICIAL))
    started = time.perf_counter()
    raw = source.load(config)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "sessions_per_second": round(len(raw.sessions) / seconds["read_sessions"]),
        "products_per_second": round(len(raw.items) / seconds["read_products"]),
        "seconds": round(wall, 2),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(figures))


def with_timer(function, seconds: dict[str, float], name: str):
    """The function, wrapped so that it stores its duration in `seconds[name]`."""

    def timed(*arguments):
        started = time.perf_counter()
        result = function(*arguments)
        seconds[name] = time.perf_counter() - started
        return result

    return timed


if __name__ == "__main__":
    main(sys.argv[1])
