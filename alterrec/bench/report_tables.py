"""The tables of the engine's report, in plain words: a caption, a note and rows, or None where nothing was measured."""

from alterrec.bench.scaling_curves import SIZES

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


def numbers(row: dict) -> str:
    """The factors' precision; a CPU has no tf32."""
    return "float32" if row["device"] == "CPU" and row["precision"] == "tf32" else row["precision"]


def objectives(rows: list[dict], matmul: list[dict]) -> dict | None:
    if not rows:
        return None
    cells = []
    for row in rows:
        speed = row["operations_per_instance"] / row["seconds_per_instance"]
        best = matmul[0][row["precision"]] if matmul else None
        both = len(row["epochs"]) > 1
        cells.append(
            {
                "objective": row["label"],
                "d": row["dimension"],
                "numbers": numbers(row),
                "seconds per epoch": row["seconds_per_epoch"],
                "of the ID network": row["epochs"]["id"] if both else None,
                "of the text network": row["epochs"]["text"] if both else None,
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
        "large product of the same numbers, below."
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
            "items": row["items"],
            "d": row["dimension"],
            "one pass, µs": 1e6 * row["one_pass"],
            "in bfloat16": 1e6 * row["bfloat16"],
            "padded to 50, µs": 1e6 * row["padded"],
            "unpadded, µs": 1e6 * row["unpadded"],
            "ratio, padded": row["padded"] / row["one_pass"],
            "ratio, unpadded": row["unpadded"] / row["one_pass"],
            "ratio of bfloat16, padded": row["padded"] / row["bfloat16"],
            "ratio of arithmetic, padded": row["padded_operations"] / row["one_pass_operations"],
        }
        for row in rows
    ]
    shapes = "; ".join(dict.fromkeys(shape(row) for row in rows))
    row = rows[0]
    note = (
        f"Data: {shapes}. The plain program (tests/reference/prefix_expanding.py) makes every prefix a row, padded to 50 "
        "items or to the batch's longest prefix, and computes in float32 (on a GPU, as ours, in tf32). Same parameters, same "
        f"instances; the faster of two runs in one process; k1 = {row['k1']}, k2 = {row['k2']} or half the catalogue. "
        f"Microseconds per instance of a training step, on {row['timed_steps']} of the epoch's batches "
        f"({row['timed_instances']:,} instances), spread evenly over the session lengths. Such a batch holds sessions of "
        "about one length, which spares the unpadded program what shuffled prefixes would cost it. The ratio of arithmetic "
        "is what programs would reach that do nothing but products of matrices, all at one speed."
    )
    return {"caption": "Ratio to the plain program", "note": note, "rows": cells}


def matmul(rows: list[dict]) -> dict | None:
    cells = [
        {"numbers": name, "size": f"{row['size']:,} x {row['size']:,}", "GFLOP/s": row[name] / 1e9}
        for row in rows
        for name in ("float32", "tf32", "bfloat16")
        if name != "tf32" or row["device"] != "CPU"
    ]
    note = "The best of three products of square matrices."
    return {"caption": "A large product of matrices", "note": note, "rows": cells} if cells else None
