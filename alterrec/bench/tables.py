"""The tables of the engine's report, in plain words: a caption, a note and rows, or None where nothing was measured."""

from alterrec.bench.curves import SIZES

MIB = 2**20


def shape(row: dict) -> str:
    """The dataset and the batches of a row."""
    return (
        f"{row.get('data') or 'made-up data'} ({row['items']:,} items, {row['sequences']:,} sequences of "
        f"{row['mean_length']:.1f} items, the longest {row['longest']}, {row['instances']:,} training instances), "
        f"batches of {row['batch_size']}"
    )


def timed(row: dict) -> str:
    return f"{row['timed_instances']:,.0f} of {row['epoch_instances']:,.0f}"


def objectives(rows: list[dict], matmul: list[dict]) -> dict | None:
    if not rows:
        return None
    best = matmul[0]["float32"] if matmul else None
    cells = []
    for row in rows:
        speed = row["operations_per_instance"] / row["seconds_per_instance"]
        cells.append(
            {
                "objective": row["label"],
                "d": row["dimension"],
                "seconds per epoch": row["seconds_per_epoch"],
                "instances per second": 1 / row["seconds_per_instance"],
                "timed instances": timed(row),
                "peak MiB": row["peak_bytes"] / MIB,
                "MFLOP per instance": row["operations_per_instance"] / 1e6,
                "GFLOP/s": speed / 1e9,
                "share of matmul, %": best and 100 * speed / best,
            }
        )
    note = (
        f"Data: {shape(rows[0])}. AlterRec's rows are the mean of an epoch of its ID and one of its text network; an "
        "augmented epoch has six labels an instance and begins with the ranking of all instances by the other network. "
        "Arithmetic counts products of matrices (on a CPU without the attention's own); its share is of the speed of a "
        "large product, below."
    )
    return {"caption": "Objectives", "note": note, "rows": cells}


def sizes(rows: list[dict]) -> dict | None:
    if not rows:
        return None
    base = next((row for row in rows if row["size"] == "dimension"), rows[0])
    cells = [
        {
            "size": SIZES[row["size"]],
            "value": row["value"],
            "objective": row["label"],
            "µs per instance": 1e6 * row["seconds_per_instance"],
            "seconds per epoch": row["seconds_per_epoch"],
            "timed instances": timed(row),
            "peak MiB": row["peak_bytes"] / MIB,
            "above the start": (row["peak_bytes"] - row["start_bytes"]) / MIB,
            "ranked": row.get("ranks"),
            "ms per rank": 1e3 * row["seconds_per_rank"] if "ranks" in row else None,
        }
        for row in rows
    ]
    note = (
        f"One size is varied at a time, from d = 64 and {shape(base)}. The sessions of a row of session lengths have that "
        "length and about as many instances; prefixes longer than max_length are windows of their own. `ranked` targets "
        "were ranked in the whole catalogue, in the same process."
    )
    return {"caption": "Cost against size", "note": note, "rows": cells}


def exponents(found: list[dict]) -> dict | None:
    cells = [
        {
            "size": SIZES[curve["size"]],
            "objective": curve["label"],
            "sizes": len(curve["values"]),
            "exponent of seconds per instance": curve["exponents"]["seconds"],
            "exponent of memory above the start": curve["exponents"]["bytes"],
        }
        for curve in found
        if curve["exponents"]["seconds"] is not None
    ]
    note = (
        "The slope of the least-squares line of log(cost) against log(size): 1 is linear, 0 is no dependence."
    )
    return {"caption": "Fitted exponents", "note": note, "rows": cells} if cells else None


def compared(rows: list[dict]) -> dict | None:
    if not rows:
        return None
    cells = [
        {
            "objective": row["label"],
            "d": row["dimension"],
            "one pass, µs": 1e6 * row["one_pass"],
            "padded to 50, µs": 1e6 * row["padded"],
            "unpadded, µs": 1e6 * row["unpadded"],
            "ratio, padded": row["padded"] / row["one_pass"],
            "ratio, unpadded": row["unpadded"] / row["one_pass"],
            "timed instances": row["timed_instances"],
        }
        for row in rows
    ]
    note = (
        f"Data: {shape(rows[0])}. The plain program (tests/reference/prefix_expanding.py) makes every prefix a row, padded "
        "to 50 items or to the batch's longest prefix. Same parameters, same instances, in turns in one process; "
        f"k1 = {rows[0]['k1']}, k2 = {rows[0]['k2']}. Microseconds per instance of a training step, measured on "
        f"{rows[0]['timed_steps']} of the epoch's batches, spread evenly over the session lengths. Such a batch holds "
        "sessions of about one length, which spares the unpadded program what shuffled prefixes would cost it."
    )
    return {"caption": "Ratio to the plain program", "note": note, "rows": cells}


def matmul(rows: list[dict]) -> dict | None:
    cells = [
        {"numbers": numbers, "size": f"{row['size']:,} x {row['size']:,}", "GFLOP/s": row[numbers] / 1e9}
        for row in rows
        for numbers in ("float32", "tf32")
        if numbers in row
    ]
    note = "The best of three products of square float32 matrices. Training leaves TF32 off."
    return {"caption": "A large product of matrices", "note": note, "rows": cells} if cells else None
