"""The Home Depot's sessions, on which the paper reports (arXiv 2402.08921). They are private, so nothing is read here.

The company publishes neither the sessions nor the titles. The paper's numbers on them can therefore not be checked, and
this suite's results cannot be compared with them. An owner of such data uses the source `table`, as the error shows.
"""

from alterrec.errors import UserError
from alterrec.sources._raw import DatasetConfig, Raw

USE_TABLE = """\
source homedepot: these data are private to The Home Depot and cannot be downloaded. If you have such data, write one \
file of sessions and one of items (alterrec/sources/table.py describes their columns) and define

dataset_definitions:
  homedepot:
    source: table
    sessions: homedepot/sessions.parquet  # session_id, items (ids in order) and optionally split
    items: homedepot/items.parquet  # item_id and columns of text
    text_columns: [title]
    licence: private
"""


class Config(DatasetConfig):
    """No settings of its own, because there are no data to read."""


def load(config: Config) -> Raw:
    """Always raises a UserError that shows which definition an owner of the data writes instead."""
    raise UserError(USE_TABLE)
