#!/usr/bin/env python3
"""Writes what the tests of the embedder guests compare with: onnxruntime's results for small models, one or more
for each operator, and Pillow's pixels for small images of every kind.

usage: golden.py FOLDER        Tests/WasmTests/Guests/Golden

A file is a count (u32), then for each case a name, the input, a tolerance (f32), and the expected numbers (f32, or
u8 for the levels of images) or, with a tolerance below 0, a part of the message that refuses it; each with its
length (u32) before it.
Needs numpy, onnx, onnxruntime and Pillow.
"""
import io
import os
import struct
import sys
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps

random = np.random.default_rng(7)


class Cases:
    def __init__(self):
        self.cases = []

    def add(self, name, content, tolerance, expected):
        parts = [name.encode(), content, struct.pack("<f", tolerance)]
        if isinstance(expected, str):
            parts.append(expected.encode())
        else:
            parts.append(np.asarray(expected, np.uint8 if content[:1] == b"i" else np.float32).tobytes())
        self.cases.append(b"".join(struct.pack("<I", len(part)) + part for part in parts))

    def write(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<I", len(self.cases)) + b"".join(self.cases))
        print(f"wrote {path}: {len(self.cases)} cases, {os.path.getsize(path)} bytes")


# ONNX.


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def floats(*shape, low=-1.0, high=1.0):
    return random.uniform(low, high, shape).astype(np.float32)


def onnx_input(model, arrays):
    return b"o" + b"".join(struct.pack("<I", len(p)) + p for p in [model] + [npy(a) for a in arrays])


def build(nodes, inputs, constants, opset, free=()):
    types = {np.dtype(np.float32): 1, np.dtype(np.int64): 7, np.dtype(np.int32): 6}
    infos = [
        helper.make_tensor_value_info(n, types[a.dtype], [None if n in free else s for s in a.shape])
        for n, a in inputs.items()
    ]
    graph = helper.make_graph(
        nodes, "case", infos, [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model.SerializeToString()


def add_model(cases, name, nodes, inputs, constants=None, opset=13, tolerance=2e-5, free=()):
    model = build(nodes, inputs, constants or {}, opset, free)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    expected = np.asarray(session.run(["y"], inputs)[0])
    cases.add(
        name, onnx_input(model, inputs.values()), tolerance,
        np.concatenate([[expected.size], expected.ravel().astype(np.float32)]),
    )


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs.split(), [output] if isinstance(output, str) else output, **attributes)


def operator_cases(cases):
    def one(name, kind, inputs, constants=None, opset=13, tolerance=2e-5, **attributes):
        constants = constants or {}
        names = " ".join([*inputs, *constants])
        add_model(cases, name, [node(kind, names, **attributes)], inputs, constants, opset, tolerance)

    x4, x3, x2 = floats(1, 5, 7, 6), floats(2, 3, 4), floats(3, 5)
    for name, pads, strides, extra in [
        ("3x3", [1, 1, 1, 1], [1, 1], {}), ("stride 2", [1, 1, 1, 1], [2, 2], {}), ("no pad", [0, 0, 0, 0], [1, 1], {}),
        ("one-sided", [0, 1, 1, 0], [2, 2], {}), ("dilated", [2, 2, 2, 2], [1, 1], {"dilations": [2, 2]}),
    ]:
        one("Conv " + name, "Conv", {"x": x4}, {"w": floats(4, 5, 3, 3), "b": floats(4)}, pads=pads, strides=strides, **extra)
    one("Conv 1x1", "Conv", {"x": x4}, {"w": floats(33, 5, 1, 1)})
    one("Conv 1x1 stride 2", "Conv", {"x": x4}, {"w": floats(3, 5, 1, 1)}, strides=[2, 2])
    one("Conv same upper", "Conv", {"x": x4}, {"w": floats(3, 5, 2, 3)}, auto_pad="SAME_UPPER")
    one("Conv same lower", "Conv", {"x": x4}, {"w": floats(3, 5, 2, 2)}, auto_pad="SAME_LOWER", strides=[2, 2])
    one("Conv depthwise", "Conv", {"x": x4}, {"w": floats(5, 1, 3, 3), "b": floats(5)}, group=5, pads=[1, 1, 1, 1])
    one("Conv depthwise 20", "Conv", {"x": floats(2, 20, 6, 5)}, {"w": floats(20, 1, 3, 3)}, group=20, pads=[1] * 4, strides=[2, 2])
    one("Conv depthwise 5x5", "Conv", {"x": floats(1, 17, 6, 7)}, {"w": floats(17, 1, 5, 5)}, group=17, pads=[2] * 4)
    one("Conv grouped", "Conv", {"x": floats(2, 6, 5, 5)}, {"w": floats(4, 3, 3, 3)}, group=2)
    one("Conv multiplied", "Conv", {"x": floats(1, 3, 5, 5)}, {"w": floats(6, 1, 3, 3)}, group=3)
    one("MaxPool", "MaxPool", {"x": x4}, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
    one("MaxPool ceil", "MaxPool", {"x": x4}, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    one("AveragePool", "AveragePool", {"x": x4}, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    one("AveragePool padded", "AveragePool", {"x": x4}, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    one("GlobalAveragePool", "GlobalAveragePool", {"x": x4})
    one("GlobalMaxPool", "GlobalMaxPool", {"x": x4})
    stats = {"g": floats(5), "b": floats(5), "m": floats(5), "v": floats(5, low=0.5)}
    one("BatchNormalization", "BatchNormalization", {"x": x4}, stats, epsilon=1e-3)
    one("BatchNormalization rows", "BatchNormalization", {"x": floats(3, 5)}, stats)
    one("Gemm", "Gemm", {"a": x2}, {"b": floats(5, 4), "c": floats(4)}, alpha=0.5, beta=2.0)
    one("Gemm transposed", "Gemm", {"a": floats(5, 3)}, {"b": floats(4, 5)}, transA=1, transB=1)
    one("Gemm computed", "Gemm", {"a": x2, "b": floats(4, 5)}, {"c": floats(1, 4)}, transB=1)
    one("MatMul constant", "MatMul", {"a": floats(2, 3, 5)}, {"b": floats(5, 7)})
    one("MatMul stacks", "MatMul", {"a": floats(2, 3, 4, 5), "b": floats(2, 3, 5, 6)})
    one("MatMul repeated", "MatMul", {"a": floats(2, 3, 4, 5), "b": floats(3, 5, 6)})
    one("MatMul one for all", "MatMul", {"a": floats(2, 1, 4, 5), "b": floats(5, 2)})
    one("Softmax", "Softmax", {"x": x3}, axis=-1)
    one("Softmax middle", "Softmax", {"x": x3}, axis=1)
    one("Softmax flat", "Softmax", {"x": x3}, opset=11, axis=1)
    one("LayerNormalization", "LayerNormalization", {"x": x3}, {"g": floats(4), "b": floats(4)}, opset=17, epsilon=1e-4)
    one("LayerNormalization 2", "LayerNormalization", {"x": x3}, {"g": floats(3, 4)}, opset=17, axis=1)
    for kind in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"]:
        one(kind, kind, {"x": x3}, axes=[1], keepdims=0)
        one(kind + " two", kind, {"x": x3}, axes=[0, -1])
    one("ReduceSum", "ReduceSum", {"x": x3}, {"axes": np.array([-1, 0])}, keepdims=1)
    one("ReduceMean all", "ReduceMean", {"x": x3}, keepdims=0)
    for kind, low in [
        ("Relu", -1), ("Sigmoid", -4), ("Tanh", -4), ("Erf", -3), ("Exp", -4), ("Neg", -1), ("Abs", -1), ("Floor", -5),
        ("Ceil", -5), ("Sqrt", 0.01), ("Log", 0.01), ("Reciprocal", 0.2), ("LeakyRelu", -1), ("HardSigmoid", -4),
        ("HardSwish", -5),
    ]:
        one(kind, kind, {"x": floats(2, 9, low=low, high=5)}, opset=14)
    one("Gelu", "Gelu", {"x": floats(2, 9, low=-4, high=4)}, opset=20)
    one("Clip", "Clip", {"x": x2}, {"low": np.float32(-0.25), "high": np.float32(0.5)})
    one("Clip old", "Clip", {"x": x2}, opset=10, min=0.0, max=6.0)
    for kind in ["Add", "Sub", "Mul", "Div", "Min", "Max"]:
        one(kind, kind, {"a": x3, "b": floats(2, 3, 4, low=0.5)})
        one(kind + " repeated", kind, {"a": x3, "b": floats(3, 1, low=0.5)})
        one(kind + " scalar", kind, {"a": floats(4), "b": floats(low=0.5)})
        one(kind + " integers", kind, {"a": np.array([[7, -7, 3]]), "b": np.array([[2], [-5]])})
    one("Pow", "Pow", {"a": floats(3, 4, low=0.1, high=3), "b": floats(4, low=-2, high=2)})
    one("Pow square", "Pow", {"a": x2}, {"b": np.float32(2)})
    one("Pow cube", "Pow", {"a": x2}, {"b": np.float32(3)})
    for kind in ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"]:
        add_model(
            cases, kind, [node(kind, "a b", "t"), node("Cast", "t", to=1)],
            {"a": np.array([[1, 2, 3]], np.float32), "b": np.array([[2], [3]], np.float32)},
        )
    add_model(
        cases, "And Or Not", [
            node("Greater", "a b", "p"), node("Less", "a c", "q"), node("And", "p q", "r"), node("Not", "r", "s"),
            node("Or", "s p", "t"), node("Where", "t a b"),
        ], {"a": floats(3, 4), "b": floats(3, 4), "c": floats(4)},
    )
    # Shapes.
    one("Transpose", "Transpose", {"x": x3}, perm=[2, 0, 1])
    one("Transpose reversed", "Transpose", {"x": x3})
    one("Reshape", "Reshape", {"x": x3}, {"s": np.array([0, -1, 2])})
    one("Flatten", "Flatten", {"x": x3}, axis=2)
    one("Squeeze", "Squeeze", {"x": floats(1, 3, 1)}, {"a": np.array([0])})
    one("Unsqueeze", "Unsqueeze", {"x": x2}, {"a": np.array([0, -1])})
    one("Unsqueeze old", "Unsqueeze", {"x": x2}, opset=11, axes=[1])
    one("Concat", "Concat", {"a": x3, "b": floats(2, 5, 4)}, axis=1)
    one("Slice", "Slice", {"x": x3}, {"s": np.array([0, -3]), "e": np.array([3, 2**62]), "a": np.array([1, 2]), "t": np.array([2, 1])})
    one("Slice backwards", "Slice", {"x": x3}, {"s": np.array([-1]), "e": np.array([-(2**62)]), "a": np.array([2]), "t": np.array([-2])})
    one("Gather", "Gather", {"x": x3, "i": np.array([[0, -1], [2, 1]])}, axis=1)
    add_model(cases, "Gather table", [node("Gather", "t i")], {"i": np.array([[3, 0, -1]])}, {"t": floats(10, 6)})
    add_model(
        cases, "Gather halves", [node("Gather", "t i", "h"), node("Cast", "h", to=1)], {"i": np.array([[3, 0]])},
        {"t": floats(10, 6).astype(np.float16)},
    )
    one("Expand", "Expand", {"x": floats(3, 1)}, {"s": np.array([2, 1, 4])})
    one("Pad", "Pad", {"x": x4}, {"p": np.array([0, 1, 1, 0, 0, 0, 2, 1]), "v": np.float32(0.5)})
    add_model(cases, "Split", [node("Split", "x s", ["a", "b"], axis=2), node("Sub", "b a")], {"x": x3}, {"s": np.array([2, 2])})
    add_model(cases, "Identity Dropout", [node("Identity", "x", "a"), node("Dropout", "a")], {"x": x2})
    add_model(cases, "Cast", [node("Cast", "x", "a", to=7), node("Cast", "a", to=1)], {"x": floats(9, low=-4, high=4)})
    add_model(
        cases, "shape arithmetic", [
            node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Unsqueeze", "n zeros", "m"),
            node("Concat", "m minus", "t", axis=0), node("Reshape", "x t", "r"), node("ConstantOfShape", "t2", "c"),
            node("Range", "zero n one", "k"), node("Cast", "k", "f", to=1), node("Unsqueeze", "f ones", "g"),
            node("Mul", "r g", "h"), node("Add", "h c"),
        ], {"x": x3},
        {"zero": np.array(0), "one": np.array(1), "zeros": np.array([0]), "ones": np.array([1]), "minus": np.array([-1]), "t2": np.array([1])},
        free={"x"},
    )
    # Chains that are joined, and images that meet other operators.
    image = {"x": floats(2, 5, 6, 6)}
    conv = {"w": floats(7, 5, 3, 3)}
    add_model(
        cases, "Conv BatchNormalization Clip", [
            node("Conv", "x w", "a"), node("BatchNormalization", "a g b m v", "c"), node("Clip", "c low high"),
        ], image, {**conv, "g": floats(7), "b": floats(7), "m": floats(7), "v": floats(7, low=0.5), "low": np.float32(0), "high": np.float32(6)},
    )
    add_model(
        cases, "residual of images", [
            node("Conv", "x w", "a", pads=[1] * 4), node("Relu", "a", "b"), node("Conv", "b u", "c", pads=[1] * 4),
            node("Add", "c a", "d"), node("Mul", "d k", "e"), node("Flatten", "e"),
        ], image, {**conv, "u": floats(7, 7, 3, 3), "k": floats(7, 1, 1)},
    )
    add_model(
        cases, "squeeze and excite", [
            node("Conv", "x w", "a"), node("ReduceMean", "a", "p", axes=[2, 3], keepdims=1), node("Conv", "p u", "q"),
            node("HardSigmoid", "q", "s"), node("Mul", "a s", "t"), node("Concat", "t a", "c", axis=1), node("Transpose", "c", perm=[0, 2, 3, 1]),
        ], image, {**conv, "u": floats(7, 7, 1, 1)}, opset=13,
    )
    add_model(
        cases, "images reshaped", [
            node("Conv", "x w", "a"), node("Reshape", "a s", "b"), node("Transpose", "b", "c", perm=[0, 2, 1]), node("Softmax", "c"),
        ], image, {**conv, "s": np.array([0, 7, -1])},
    )
    add_model(
        cases, "images meet full operands", [node("MaxPool", "x", "a", kernel_shape=[2, 2]), node("Add", "a k", "b"), node("ReduceMax", "b", axes=[1], keepdims=0)],
        image, {"k": floats(5, 5, 5)},
    )
    add_model(
        cases, "LayerNormalization in parts", [
            node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d"), node("Pow", "d two", "p"),
            node("ReduceMean", "p", "v", axes=[-1]), node("Add", "v eps", "w"), node("Sqrt", "w", "s"),
            node("Div", "d s", "n"), node("Mul", "n g", "o"), node("Add", "o b"),
        ], {"x": x3}, {"two": np.float32(2), "eps": np.float32(1e-3), "g": floats(4), "b": floats(4)},
    )
    add_model(
        cases, "GELU in parts", [
            node("MatMul", "x w", "l"), node("Add", "l b", "a"), node("Div", "a r", "d"), node("Erf", "d", "e"),
            node("Add", "e one", "f"), node("Mul", "a f", "g"), node("Mul", "g half"),
        ], {"x": x2}, {"w": floats(5, 6), "b": floats(6), "r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    )
    add_model(
        cases, "product that looks like GELU", [
            node("Div", "a r", "d"), node("Erf", "d", "e"), node("Add", "e one", "f"), node("Mul", "c f", "g"), node("Mul", "g half"),
        ], {"a": x2, "c": floats(3, 5)}, {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    )


def refused_cases(cases):
    x = floats(1, 3, 4, 4)

    def refused(name, nodes, message, inputs=None, constants=None, opset=13):
        inputs = inputs or {"x": x}
        cases.add(name, onnx_input(build(nodes, inputs, constants or {}, opset), inputs.values()), -1, message)

    refused("unknown operator", [node("LSTM", "x")], "the operator 'LSTM', which is not supported")
    refused("another domain", [helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")], "'FusedConv' of another domain")
    refused("strides that differ", [node("Conv", "x w", strides=[1, 2])], "Conv has strides that differ", constants={"w": floats(2, 3, 1, 1)})
    refused("a filter that does not fit", [node("Conv", "x w")], "Conv has a filter that does not fit", constants={"w": floats(2, 4, 1, 1)})
    refused("an unknown value", [node("Relu", "z")], "'z' is used before")
    refused("no output", [node("Relu", "x", "z")], "does not compute the value")
    refused("an index outside", [node("Gather", "t i")], "outside the table", {"i": np.array([[9]])}, {"t": floats(3, 2)})
    refused("a size that is computed", [node("Cast", "x", "s", to=7), node("Reshape", "x s")], "Reshape has sizes that depend")
    cases.add("no model", b"o" + struct.pack("<I", 3) + b"abc", -1, "ONNX file")


# Images.


def photo(width, height):
    y, x = np.mgrid[0:height, 0:width]
    levels = np.stack([128 + 100 * np.sin(x / 17 + y / 31), 128 + 90 * np.cos(x / 23 - y / 13), 128 + 80 * np.sin((x + y) / 29)], -1)
    levels += random.normal(0, 6, levels.shape)
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def add_image(cases, name, content, tolerance, image=None):
    image = image or ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    if image.size != (32, 32):
        image = image.resize((32, 32), Image.BILINEAR)
    cases.add(name, b"i" + content, tolerance, np.asarray(image).ravel())


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples, depth, kind, interlaced, palette=b""):
    """A PNG of samples [height, width, channels], its rows with the five filters by turns."""
    height, width, channels = samples.shape
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    pixel_bytes, number, packed = max(1, channels * depth // 8), 0, bytearray()

    def row_bytes(row):
        if depth == 16:
            return row.astype(">u2").tobytes()
        bits = "".join(format(int(value), f"0{depth}b") for value in row.ravel())
        bits += "0" * (-len(bits) % 8)
        return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))

    for x, y, step_x, step_y in passes:
        part = samples[y::step_y, x::step_x]
        if part.size == 0:
            continue
        above = None
        for row in part:
            raw, kind_of_filter = row_bytes(row), number % 5
            above, number = above or bytes(len(raw)), number + 1
            packed.append(kind_of_filter)
            for at, value in enumerate(raw):
                left = raw[at - pixel_bytes] if at >= pixel_bytes else 0
                up, corner = above[at], above[at - pixel_bytes] if at >= pixel_bytes else 0
                guess = left + up - corner
                nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
                packed.append((value - [0, left, up, (left + up) // 2, nearest][kind_of_filter]) & 255)
            above = raw
    stream = zlib.compress(bytes(packed))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced)))
    parts = b"".join(chunk(b"IDAT", stream[at : at + 100]) for at in range(0, len(stream), 100))
    return b"\x89PNG\r\n\x1a\n" + head + (chunk(b"PLTE", palette) if palette else b"") + parts + chunk(b"IEND", b"")


def image_cases(cases):
    palette = random.integers(0, 256, 768).astype(np.uint8)
    for interlaced in (False, True):
        for kind, channels, depths in [(0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16))]:
            for depth in depths:
                samples = random.integers(0, 2**depth, (32, 32, channels))
                content = png(samples, depth, kind, interlaced, palette[: 3 * 2**depth].tobytes() if kind == 3 else b"")
                levels = samples >> 8 if depth == 16 else samples * (255 // (2**depth - 1)) if kind != 3 else samples
                levels = palette.reshape(256, 3)[levels[..., 0]] if kind == 3 else levels[..., :3] if channels >= 3 else np.repeat(levels[..., :1], 3, 2)
                name = f"PNG type {kind}, {depth} bits" + (", interlaced" if interlaced else "")
                add_image(cases, name, content, 0.01, Image.fromarray(levels.astype(np.uint8)))
    for size in [(80, 60), (37, 51), (5, 3), (1, 1), (120, 9)]:
        add_image(cases, f"PNG {size}", saved(photo(*size), format="PNG"), 1.5)
        for sampling in (0, 1, 2):
            for progressive in (False, True):
                content = saved(photo(*size), format="JPEG", quality=85, subsampling=sampling, progressive=progressive)
                add_image(cases, f"JPEG {size}, sampling {sampling}, progressive {progressive}", content, 5)
    add_image(cases, "JPEG grey", saved(photo(50, 40).convert("L"), format="JPEG"), 2)
    add_image(cases, "JPEG grey progressive", saved(photo(50, 40).convert("L"), format="JPEG", progressive=True), 2)
    add_image(cases, "JPEG with restarts", saved(photo(90, 70), format="JPEG", restart_marker_blocks=2), 4)
    add_image(cases, "JPEG of low quality", saved(photo(90, 70), format="JPEG", quality=10, optimize=True), 8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        add_image(cases, f"JPEG orientation {orientation}", saved(photo(48, 32), format="JPEG", exif=exif, quality=95), 4)
    whole = saved(photo(64, 48), format="JPEG")
    for name, content, message in [
        ("no image", b"GIF89a", "neither a PNG nor a JPEG"), ("JPEG cut short", whole[: len(whole) // 2], "cut short"),
        ("PNG cut short", saved(photo(20, 20), format="PNG")[:300], "cut short"),
        ("CMYK", saved(photo(8, 8).convert("CMYK"), format="JPEG"), "CMYK"), ("JPEG without scans", b"\xff\xd8\xff\xd9", "damaged"),
    ]:
        cases.add(name, b"i" + content, -1, message)
    huge = png(np.zeros((1, 1, 1), int), 8, 0, False)
    cases.add("PNG of a size that is too large", b"i" + huge[:16] + struct.pack(">II", 60000, 60000) + huge[24:], -1, "too large")


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:] in (["-h"], ["--help"]) else 64
    for name, parts in [("onnx", (operator_cases, refused_cases)), ("images", (image_cases,))]:
        cases = Cases()
        for part in parts:
            part(cases)
        cases.write(os.path.join(sys.argv[1], name + ".bin"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
