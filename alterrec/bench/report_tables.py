"""The tables of the engine's part of the report.

Each function returns a table (its caption, note and rows), or None where nothing was measured.
"""

from alterrec.bench.scaling_curves import SIZES

MIB = 2**20


def data_text(row: dict) -> str:
    """The dataset and the batches of a row, in words."""
    return (
        f"{row.get('data') or 'synthetic'} ({row['items']:,} items, {row['sessions']:,} sessions with "
        f"{row['mean_length']:.1f} items on average and {row['longest']} at most, {row['instances']:,} training "
        f"instances), batches of {row['batch_size']}"
    )


def timed_share(row: dict) -> str:
    return f"{row['timed_instances']:,.0f} of {row['epoch_instances']:,.0f}"


def precision(row: dict) -> str:
    """The precision of the factors of matrix products. A CPU has no tf32."""
    return "float32" if row["device"] == "CPU" and row["precision"] == "tf32" else row["precision"]


def workload_table(rows: list[dict], matmul: list[dict]) -> dict | None:
    if not rows:
        return None
    cells = []
    for row in rows:
        speed = row["operations_per_instance"] / row["seconds_per_instance"]
        matmul_speed = matmul[0][row["precision"]] if matmul else None
        two_networks = len(row["epochs"]) > 1
        cells.append(
            {
                "workload": row["label"],
                "d": row["dimension"],
                "precision": precision(row),
                "seconds per epoch": row["seconds_per_epoch"],
                "ID epoch": row["epochs"]["id"] if two_networks else None,
                "text epoch": row["epochs"]["text"] if two_networks else None,
                "instances per second": 1 / row["seconds_per_instance"],
                "timed instances": timed_share(row),
                "peak MiB": row["peak_bytes"] / MIB,
                "MFLOP per instance": row["operations_per_instance"] / 1e6,
                "GFLOP/s": speed / 1e9,
                "% of matmul speed": matmul_speed and 100 * speed / matmul_speed,
            }
        )
    note = (
        f"Data: {data_text(rows[0])}. An AlterRec row is the mean of an ID epoch and a text epoch. An augmented epoch "
        "has six labels per instance, and it starts with the other network's ranking of all instances. MFLOP counts "
        "matrix products only (on a CPU without those inside attention). The last column divides by the speed of a "
        "large matrix product of the same precision (see below)."
    )
    return {"caption": "Workloads", "note": note, "rows": cells}


def size_table(rows: list[dict]) -> dict | None:
    if not rows:
        return None
    base = next((row for row in rows if row["size"] == "dimension"), rows[0])
    cells = [
        {
            "size": SIZES[row["size"]],
            "value": row["value"],
            "workload": row["label"],
            "µs per instance": 1e6 * row["seconds_per_instance"],
            "seconds per epoch": row["seconds_per_epoch"],
            "timed instances": timed_share(row),
            "peak MiB": row["peak_bytes"] / MIB,
            "MiB above the start": (row["peak_bytes"] - row["start_bytes"]) / MIB,
            "ranked targets": row.get("ranks"),
            "ms per ranked target": 1e3 * row["seconds_per_rank"] if "ranks" in row else None,
        }
        for row in rows
    ]
    note = (
        f"One size varies at a time. The other sizes are d = 64 and those of these data: {data_text(base)}. Where the "
        "session length varies, all sessions have that length, and the number of instances stays about the same. Of a "
        "longer prefix the last max_length items are read. Targets were ranked in the whole catalogue, in the same "
        "process."
    )
    return {"caption": "Cost by size", "note": note, "rows": cells}


def exponent_table(curves: list[dict]) -> dict | None:
    cells = [
        {
            "size": SIZES[curve["size"]],
            "workload": curve["label"],
            "sizes": len(curve["values"]),
            "exponent of seconds per instance": curve["exponents"]["seconds"],
            "exponent of memory above the start": curve["exponents"]["bytes"],
        }
        for curve in curves
        if curve["exponents"]["seconds"] is not None
    ]
    note = (
        "An exponent is the slope of the least-squares line of log(cost) against log(size). "
        "1 is linear growth, 0 is none."
    )
    return {"caption": "Fitted exponents", "note": note, "rows": cells} if cells else None


def ratio_table(rows: list[dict]) -> dict | None:
    if not rows:
        return None
    cells = [
        {
            "workload": row["label"],
            "batches": row["batches"],
            "items": row["items"],
            "d": row["dimension"],
            "alterrec, µs": 1e6 * row["alterrec"],
            "alterrec in bfloat16, µs": 1e6 * row["bfloat16"] if "bfloat16" in row else None,
            "padded, µs": 1e6 * row["padded"],
            "unpadded, µs": 1e6 * row["unpadded"],
            "ratio, padded": row["padded"] / row["alterrec"],
            "ratio, unpadded": row["unpadded"] / row["alterrec"],
            "ratio to bfloat16, padded": row["padded"] / row["bfloat16"] if "bfloat16" in row else None,
            "ratio of FLOP, padded": row["padded_operations"] / row["alterrec_operations"],
        }
        for row in rows
    ]
    data = "; ".join(dict.fromkeys(data_text(row) for row in rows))
    row = rows[0]
    note = (
        f"Data: {data}. The plain program (tests/reference/prefix_expanding.py) makes every prefix a row. It pads the "
        "rows to 50 items (padded) or to the longest prefix of the batch (unpadded). It computes in float32 (on a GPU "
        "both programs use tf32). Both start from the same parameters and train on the same instances, with "
        f"k1 = {row['k1']}, and k2 = {row['k2']} or half the catalogue. `batches` is the setting of alterrec. Times are "
        "microseconds per instance of a training step, the faster of two runs in one process, on "
        f"{row['timed_steps']} random batches ({row['timed_instances']:,} instances in the first row). The ratio of FLOP "
        "is what two programs would reach that only multiply matrices, at one speed."
    )
    return {"caption": "Ratio to the plain program", "note": note, "rows": cells}


def matmul_table(rows: list[dict]) -> dict | None:
    cells = [
        {"precision": name, "size": f"{row['size']:,} x {row['size']:,}", "GFLOP/s": row[name] / 1e9}
        for row in rows
        for name in ("float32", "tf32", "bfloat16")
        if row[name] and (name != "tf32" or row["device"] != "CPU")
    ]
    note = "The fastest of three products of two square matrices."
    return {"caption": "Speed of a large matrix product", "note": note, "rows": cells} if cells else None
