"""Word vectors: the model, the vectors, their text; a model of topics."""

from gensim.corpora import Dictionary
from gensim.models import LdaModel, Word2Vec

texts = [[f"word{number}" for number in range(start, start + 10)] for start in range(200)]
model = Word2Vec(texts, vector_size=50, min_count=1)
model.save("word2vec.model")
model.wv.save("vectors.kv")
model.wv.save_word2vec_format("vectors.bin", binary=True)
model.wv.save_word2vec_format("vectors.txt")
model.save("large.model", sep_limit=1000)
words = Dictionary(texts)
words.save("words.dict")
LdaModel([words.doc2bow(text) for text in texts], id2word=words).save("lda.model")
