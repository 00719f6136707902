"""The Home Depot's sessions, on which the paper reports (arXiv 2402.08921): private data, named here and not to be had.

Card: sessions, titles and licence are the company's; nothing of them is published, so neither the paper's numbers on
them can be checked nor this suite's compared. Whoever owns such data uses source `table`, as the error shows.
"""

from alterrec.errors import UserError
from alterrec.sources._raw import DatasetConfig, Raw

USE_TABLE = """\
source homedepot: these data are private to The Home Depot and cannot be downloaded. With data of your own, write one \
file of sessions and one of items (alterrec/sources/table.py says which columns) and define

dataset_definitions:
  homedepot:
    source: table
    sessions: homedepot/sessions.parquet  # session_id, items (ids in order) and, if you have one, split
    items: homedepot/items.parquet  # item_id and columns of text
    text_columns: [title]
    licence: private
"""


class Config(DatasetConfig):
    """Nothing to set: there are no data to read."""


def load(config: Config) -> Raw:
    """Always a UserError, which shows what an owner of the data writes instead."""
    raise UserError(USE_TABLE)
