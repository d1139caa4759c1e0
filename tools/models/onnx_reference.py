#!/usr/bin/env python3
"""Inputs for the ONNX embedder, and what onnxruntime makes of them. Used by tools/models/check-onnx.

usage: onnx_reference.py inputs NAME FOLDER              writes FOLDER/NAME/*: tensors, images, texts
       onnx_reference.py compare NAME FOLDER VECTORS     prints the largest error; 1 when it is above 1e-3

NAME is mobilenet-v2 or minilm, whose ONNX files lie beside FOLDER; VECTORS is what `bench embed --output` wrote for
the .npy files, then the images, then the texts, each in the order of names. Images are brought to size by Pillow, so
their errors include those of decoding and resizing; they count in the cosine only.
"""
import glob
import json
import os
import sys

import numpy as np
import onnxruntime
from PIL import Image

TEXTS = [
    "a small tool to resize photos", "mail server with spam filter", "Library for reading and writing PNG files", "x",
    "An integrated development environment for the R language, with syntax highlighting and a debugger.",
    "Überraschung: naïve café, 漢字 and emoji",
]
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def write_inputs(name, folder):
    folder = os.path.join(folder, name)
    os.makedirs(folder, exist_ok=True)
    random = np.random.default_rng(3)
    if name == "minilm":
        for count in (2, 16, 61):
            np.save(os.path.join(folder, f"tokens-{count:03}.npy"), random.integers(1000, 30000, (1, count)))
        with open(os.path.join(folder, "texts.txt"), "w", encoding="utf-8") as file:
            file.write("\n".join(TEXTS))
        return
    for index in range(3):
        np.save(os.path.join(folder, f"tensor-{index}.npy"), random.normal(0, 1, (1, 3, 224, 224)).astype(np.float32))
    y, x = np.mgrid[0:480, 0:640]
    levels = np.stack([128 + 100 * np.sin(x / 17 + y / 31), 128 + 90 * np.cos(x / 23 - y / 13), 128 + 80 * np.sin((x + y) / 29)], -1)
    levels = np.clip(levels + random.normal(0, 6, levels.shape), 0, 255).astype(np.uint8)
    Image.fromarray(levels).save(os.path.join(folder, "photo-640x480.jpg"), quality=85)
    Image.fromarray(levels).save(os.path.join(folder, "photo-progressive.jpg"), quality=85, progressive=True)
    Image.fromarray(levels).save(os.path.join(folder, "picture.png"))


def image_tensor(path):
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Image.BILINEAR)
    left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
    levels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return ((levels - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)


def session(path, output):
    import onnx

    model = onnx.load(path)
    if output not in [o.name for o in model.graph.output]:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def compare(name, folder, vectors):
    ours = np.fromfile(vectors, np.float32)
    dimension = int(ours[:1].view(np.int32)[0])
    ours = ours.reshape(-1, dimension + 1)[:, 1:]
    output = "features" if name == "mobilenet-v2" else "last_hidden_state"
    run = session(os.path.join(os.path.dirname(folder), name + ".onnx"), output)
    expected, exact = [], []

    def tokens(ids):
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return run.run([output], feeds)[0][0].mean(0)

    for path in sorted(glob.glob(os.path.join(folder, name, "*.npy"))):
        array = np.load(path)
        expected.append(tokens(array) if name == "minilm" else run.run([output], {"image": array})[0].ravel())
        exact.append(True)
    for pattern in ("*.jpg", "*.png"):
        for path in sorted(glob.glob(os.path.join(folder, name, pattern))):
            expected.append(run.run([output], {"image": image_tensor(path)})[0].ravel())
            exact.append(False)
    if name == "minilm":
        from tokenizers import BertWordPieceTokenizer

        tokenizer = BertWordPieceTokenizer(os.path.join(os.path.dirname(folder), "minilm", "vocab.txt"), lowercase=True)
        for text in TEXTS:
            expected.append(tokens(np.array([tokenizer.encode(text).ids])))
            exact.append(True)
    expected = np.array([e / np.linalg.norm(e) for e in expected])
    if len(expected) != len(ours):
        print(f"error: {vectors} has {len(ours)} vectors for {len(expected)} inputs", file=sys.stderr)
        return 65
    errors = np.abs(expected - ours).max(1)
    worst = float(errors[exact].max())
    print(
        json.dumps(
            {
                "check": "onnx", "model": name, "inputs": len(ours), "error_max": float(f"{worst:.2g}"),
                "cosine_min": round(float((expected * ours).sum(1).min()), 6),
            }
        )
    )
    return 0 if worst <= 1e-3 else 1


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 3 and arguments[0] == "inputs":
        return write_inputs(*arguments[1:]) or 0
    if len(arguments) == 4 and arguments[0] == "compare":
        return compare(*arguments[1:])
    print(__doc__.strip())
    return 0 if arguments[:1] in (["-h"], ["--help"]) else 64


if __name__ == "__main__":
    sys.exit(main())
