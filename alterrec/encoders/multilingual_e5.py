"""multilingual-e5-base: 768 dimensions, a strong multilingual encoder.

Sources: L. Wang et al., Multilingual E5 text embeddings, arXiv 2402.05672; the model intfloat/multilingual-e5-base (MIT).
It was trained with text prefixes. Its model card asks for 'query: ' if the embeddings are used as features.
"""

from pydantic import Field

from alterrec.encoders import sentence_transformer

version = 2
neural = True
encode, identity = sentence_transformer.encode, sentence_transformer.identity
fetch_files = sentence_transformer.fetch_files


class Config(sentence_transformer.Config):
    model: str = Field("intfloat/multilingual-e5-base")
    prefix: str = Field("query: ")
