"""`python -m tests.portable_cell` trains and ranks a small cell in portable mode and prints checksums of what it wrote.

tests/unit/test_portability.py runs it on this processor and on emulated ones.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from alterrec.study.portability import set_environment

set_environment({"portable": True})
os.environ["OMP_NUM_THREADS"] = "1"

from alterrec.data.text_vectors import encode_dataset  # noqa: E402 - the environment is read at the first import
from alterrec.execute import execute_run  # noqa: E402
from alterrec.kernels.portable_products import use_portable_products  # noqa: E402
from alterrec.registry import encoder, model  # noqa: E402
from tests.planted import text_signal  # noqa: E402


def main() -> None:
    use_portable_products()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        text_signal(items=80, topics=8, sessions=60).save(data)
        vectors = data / "text" / "tfidf_svd.safetensors"
        config = encoder("tfidf_svd").Config().model_dump(mode="json")
        encode_dataset(
            data, {"name": "tfidf_svd", "base": "tfidf_svd", "version": 1, "config": config}, vectors
        )
        settings = {
            "dimension": 16,
            "epochs": 2,
            "batch_size": 32,
            "initialisation": "xavier",
            "k1": 5,
            "m_random": 1,
        }
        spec = {"dataset": "planted", "model": "alterrec", "base": "alterrec", "version": 1, "seed": 1}
        spec |= {"encoder": "tfidf_svd", "baselines": [], "threads": 1, "portable": True}
        spec["config"] = model("alterrec").module.Config(**settings).model_dump(mode="json")
        out = Path(folder, "runs/planted/alterrec/seed-1")
        execute_run(spec, data, out)
        for path in (vectors, out / "weights.safetensors", out / "ranks.parquet"):
            print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
