#!/usr/bin/env python3
"""The sentence embedder all-MiniLM-L6-v2 in numpy, to check the guest against.

usage: reference.py SOURCE TEXTS VECTORS

SOURCE   the folder with model.safetensors and vocab.txt (tools/models/fetch minilm)
TEXTS    a file with one text a line
VECTORS  .fvecs of the guest's vectors for these texts (tools/run bench embed --output)

Prints the smallest and the mean cosine between the guest's vectors and the reference's. Needs numpy and,
for a tokenizer that is not ours, tokenizers; `tools/models/check` installs both.
"""
import json
import os
import struct
import sys

import numpy as np
from tokenizers import BertWordPieceTokenizer

HEADS, TOKENS_MAX = 12, 256


def load(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[start:end], np.float32).reshape(entry["shape"])
    return tensors


def erf(x):
    """Abramowitz and Stegun 7.1.26 in double; its error of 1.5e-7 is far below what is measured here."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - tail * np.exp(-x * x))


def normalise(x, gamma, beta):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-12) * gamma + beta


def encode(weights, ids):
    def linear(x, name):
        return x @ weights[name + ".weight"].T + weights[name + ".bias"]

    def norm(x, name):
        return normalise(x, weights[name + ".weight"], weights[name + ".bias"])

    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    count, width = x.shape
    for layer in range(6):
        prefix = f"encoder.layer.{layer}."
        query, key, value = (
            linear(x, prefix + "attention.self." + part).reshape(count, HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(width // HEADS)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        context = (scores @ value).transpose(1, 0, 2).reshape(count, width)
        x = norm(x + linear(context, prefix + "attention.output.dense"), prefix + "attention.output.LayerNorm")
        inner = linear(x, prefix + "intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = norm(x + linear(inner, prefix + "output.dense"), prefix + "output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def main():
    if len(sys.argv) != 4:
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 64
    source, texts, vectors = sys.argv[1:]
    weights = load(os.path.join(source, "model.safetensors"))
    tokenizer = BertWordPieceTokenizer(os.path.join(source, "vocab.txt"), lowercase=True)
    tokenizer.enable_truncation(TOKENS_MAX)
    with open(texts, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    ours = np.fromfile(vectors, np.float32)
    dimension = int(ours[:1].view(np.int32)[0])
    ours = ours.reshape(-1, dimension + 1)[:, 1:]
    if len(ours) != len(lines):
        print(f"error: {vectors} has {len(ours)} vectors for {len(lines)} texts", file=sys.stderr)
        return 65
    cosines, tokens = [], 0
    for index, line in enumerate(lines):
        ids = tokenizer.encode(line).ids
        tokens += len(ids)
        cosines.append(float(encode(weights, ids) @ ours[index]) / float(np.linalg.norm(ours[index])))
        if sys.stderr.isatty() and index % 20 == 0:
            print(f"\r{index + 1} of {len(lines)}", end="", file=sys.stderr)
    worst = int(np.argmin(cosines))
    print(
        json.dumps(
            {
                "texts": len(lines),
                "mean_tokens": round(tokens / len(lines), 1),
                "cosine_min": round(min(cosines), 5),
                "cosine_mean": round(float(np.mean(cosines)), 5),
                "worst": lines[worst][:80],
            },
            ensure_ascii=False,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
