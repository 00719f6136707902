"""distiluse-base-multilingual-cased-v2: 512 dimensions. AlterRec's authors use it for Amazon-M2.

Sources: N. Reimers and I. Gurevych, Making monolingual sentence embeddings multilingual, EMNLP 2020; the model
sentence-transformers/distiluse-base-multilingual-cased-v2 (Apache 2.0).
"""

from pydantic import Field

from alterrec.encoders import sentence_transformer

version = 2
neural = True
encode, identity = sentence_transformer.encode, sentence_transformer.identity
fetch_files = sentence_transformer.fetch_files


class Config(sentence_transformer.Config):
    model: str = Field("sentence-transformers/distiluse-base-multilingual-cased-v2")
