"""Portable mode: products are right, and text vectors, weights and ranks have the same bits on other processors."""

import os
import platform
import shutil
import subprocess
import sys

import pytest

from alterrec.study.portability import ENVIRONMENT

x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="portable mode is for x86-64 processors")
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-x86_64") is None, reason="needs qemu-x86_64 (Debian: qemu-user)"
)
PRODUCTS = """
import torch
from alterrec.kernels.portable_products import use_portable_products

torch.manual_seed(0)
a, b, c = torch.randn(5, 7, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64), torch.randn(5, 3).double()
batch, other = torch.randn(4, 5, 7).double(), torch.randn(4, 7, 2).double()
bias = torch.randn(3).double()


def results():
    w = b.clone().requires_grad_()
    torch.nn.functional.linear(a, w.T, bias).square().sum().backward()
    return [a @ b, b.T @ a.T, torch.addmm(c, a, b, beta=0.5, alpha=2), c.clone().addmm_(a, b), batch @ other, w.grad]


before = results()
use_portable_products()
for one, two in zip(results(), before, strict=True):
    torch.testing.assert_close(one, two)
print("equal")
"""


def run(*command: str, **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@x86_64
def test_products_and_their_gradients_are_pytorchs():
    assert run(sys.executable, "-c", PRODUCTS, **ENVIRONMENT) == "equal\n"


@x86_64
def test_without_the_environment_portable_mode_is_refused():
    command = "from alterrec.kernels.portable_products import use_portable_products as use; use()"
    unset = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    done = subprocess.run([sys.executable, "-c", command], env=unset, capture_output=True, text=True)
    assert "portable: true needs an x86-64 processor with AVX2 and OPENBLAS_CORETYPE=Haswell" in done.stderr


def test_a_config_is_read_without_numpy_which_would_fix_the_instructions_too_early():
    command = """
import sys
from alterrec.study.load import load_study
from alterrec.study.tuning import promoted

load_study("workflow/config/demo.yaml").environment()
print("numpy" in sys.modules)
"""
    assert run(sys.executable, "-c", command) == "False\n"


@pytest.fixture(scope="module")
def here() -> str:
    return run(sys.executable, "-m", "tests.portable_cell")


@x86_64
@needs_qemu
@pytest.mark.parametrize("processor", ["EPYC-Rome", "Haswell"])
def test_another_processor_writes_the_same_bits(here, processor):
    assert len(here.splitlines()) == 3
    assert run("qemu-x86_64", "-cpu", processor, sys.executable, "-m", "tests.portable_cell") == here
