"""The tests use a temporary cache, never the user's."""

import pytest

from alterrec.files import CACHE


@pytest.fixture(scope="session", autouse=True)
def temporary_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.mktemp("cache")))
        yield
