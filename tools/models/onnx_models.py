#!/usr/bin/env python3
"""Writes ONNX files to try the ONNX embedder with.

usage: onnx_models.py mobilenet-v2 OUTPUT          MobileNet-V2 at 224 x 224 with random weights, seed 1
       onnx_models.py minilm SOURCE OUTPUT         all-MiniLM-L6-v2; SOURCE is .cache/models/minilm

Needs numpy and onnx; `tools/models/check-onnx` installs both. MobileNet-V2 is as in Sandler et al.,
arXiv:1801.04381, table 2, with the batch normalizations as nodes of their own; its embedding is what the
classifier would get. MiniLM is written the way PyTorch's exporter does it: layer normalization and GELU as
chains of elementary operators, the sentence as long as it is, the weights halved to 16 bits.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and initializers; every method returns the name of its result."""

    def __init__(self):
        self.nodes, self.initializers = [], []

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, *inputs, name=None, **attributes):
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def model(self, name, inputs, outputs, opset, metadata):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 8
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model


def mobilenet_v2():
    random = np.random.default_rng(1)
    builder = Builder()

    def convolution(x, inputs, outputs, size, stride=1, groups=1, has_activation=True):
        fan_in = inputs // groups * size * size
        prefix = f"layer{len(builder.nodes)}"
        weights = random.normal(0, np.sqrt(2 / fan_in), (outputs, inputs // groups, size, size))
        weights = builder.constant(prefix + ".weight", weights.astype(np.float32))
        x = builder.node(
            "Conv", x, weights, kernel_shape=[size, size], strides=[stride, stride], group=groups,
            pads=[size // 2] * 4,
        )
        parts = [
            builder.constant(f"{prefix}.{part}", random.uniform(low, high, outputs).astype(np.float32))
            for part, low, high in [("gamma", 0.8, 1.2), ("beta", -0.2, 0.2), ("mean", -0.2, 0.2), ("var", 0.5, 1.5)]
        ]
        x = builder.node("BatchNormalization", x, *parts, epsilon=1e-5)
        return builder.node("Clip", x, "zero", "six") if has_activation else x

    builder.constant("zero", np.float32(0))
    builder.constant("six", np.float32(6))
    x = convolution("image", 3, 32, 3, stride=2)
    channels = 32
    for expansion, outputs, repeats, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:
        for index in range(repeats):
            step = stride if index == 0 else 1
            wide = channels * expansion
            y = convolution(x, channels, wide, 1) if expansion > 1 else x
            y = convolution(y, wide, wide, 3, stride=step, groups=wide)
            y = convolution(y, wide, outputs, 1, has_activation=False)
            x = builder.node("Add", x, y) if step == 1 and channels == outputs else y
            channels = outputs
    x = convolution(x, channels, 1280, 1)
    x = builder.node("GlobalAveragePool", x)
    x = builder.node("Flatten", x, name="features", axis=1)
    weights = builder.constant("classifier.weight", random.normal(0, 0.01, (1000, 1280)).astype(np.float32))
    bias = builder.constant("classifier.bias", random.normal(0, 0.01, 1000).astype(np.float32))
    builder.node("Gemm", x, weights, bias, name="logits", transB=1)
    return builder.model(
        "mobilenet-v2",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1000])],
        13,
        {"roost.output": "features", "roost.normalise": "true"},
    )


def minilm(folder):
    from reference import load

    source = load(os.path.join(folder, "model.safetensors"))
    builder = Builder()
    width, heads, layers, epsilon = 384, 12, 6, 1e-12

    def weights(name, array=None):
        """Kept in 16 bits, so that the file fits the size of a module; the arithmetic is f32."""
        half = builder.constant(name, (source[name] if array is None else array).astype(np.float16))
        return builder.node("Cast", half, to=TensorProto.FLOAT)

    def vector(name):
        return builder.constant(name, source[name])

    def scalar(value, kind=np.float32):
        return builder.node("Constant", value=numpy_helper.from_array(np.array(value, kind)))

    def integers(*values):
        return builder.node("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def normalised(x, name):
        mean = builder.node("ReduceMean", x, axes=[-1])
        centred = builder.node("Sub", x, mean)
        variance = builder.node("ReduceMean", builder.node("Pow", centred, scalar(2.0)), axes=[-1])
        root = builder.node("Sqrt", builder.node("Add", variance, scalar(epsilon)))
        x = builder.node("Mul", builder.node("Div", centred, root), vector(name + ".weight"))
        return builder.node("Add", x, vector(name + ".bias"))

    def linear(x, name):
        return builder.node(
            "Add", builder.node("MatMul", x, weights(name + ".weight", source[name + ".weight"].T)), vector(name + ".bias")
        )

    def embedded(name, ids):
        return builder.node("Cast", builder.node("Gather", builder.constant(name, source[name].astype(np.float16)), ids), to=1)

    shape = builder.node("Shape", "input_ids")
    length = builder.node("Gather", shape, scalar(1, np.int64), axis=0)
    positions = builder.constant("position_ids", np.arange(512, dtype=np.int64)[None])
    positions = builder.node(
        "Slice", positions, integers(0), builder.node("Unsqueeze", length, integers(0)), integers(1), integers(1)
    )
    mask = builder.node("Unsqueeze", "attention_mask", integers(1))
    mask = builder.node("Unsqueeze", mask, integers(2))
    mask = builder.node("Mul", builder.node("Sub", scalar(1.0), builder.node("Cast", mask, to=1)), scalar(-10000.0))

    x = builder.node(
        "Add", embedded("embeddings.word_embeddings.weight", "input_ids"),
        embedded("embeddings.token_type_embeddings.weight", "token_type_ids"),
    )
    x = builder.node("Add", x, embedded("embeddings.position_embeddings.weight", positions))
    x = normalised(x, "embeddings.LayerNorm")
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}."

        def split(name, order):
            y = linear(x, prefix + "attention.self." + name)
            parts = builder.node(
                "Concat", builder.node("Unsqueeze", builder.node("Gather", builder.node("Shape", y), scalar(0, np.int64)), integers(0)),
                builder.node("Unsqueeze", builder.node("Gather", builder.node("Shape", y), scalar(1, np.int64)), integers(0)),
                integers(heads), integers(width // heads), axis=0,
            )
            return builder.node("Transpose", builder.node("Reshape", y, parts), perm=order)

        query, key, value = split("query", [0, 2, 1, 3]), split("key", [0, 2, 3, 1]), split("value", [0, 2, 1, 3])
        scores = builder.node("Div", builder.node("MatMul", query, key), scalar(float(np.sqrt(width // heads))))
        scores = builder.node("Softmax", builder.node("Add", scores, mask), axis=-1)
        context = builder.node("Transpose", builder.node("MatMul", scores, value), perm=[0, 2, 1, 3])
        context = builder.node("Reshape", context, integers(0, 0, width))
        attended = builder.node("Add", linear(context, prefix + "attention.output.dense"), x)
        x = normalised(attended, prefix + "attention.output.LayerNorm")
        inner = linear(x, prefix + "intermediate.dense")
        erf = builder.node("Erf", builder.node("Div", inner, scalar(float(np.sqrt(2)))))
        inner = builder.node("Mul", inner, builder.node("Add", erf, scalar(1.0)))
        inner = builder.node("Mul", inner, scalar(0.5))
        x = normalised(builder.node("Add", linear(inner, prefix + "output.dense"), x), prefix + "output.LayerNorm")
    builder.nodes[-1].output[0] = "last_hidden_state"
    return builder.model(
        "minilm",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "sequence", width])],
        14,
        {"roost.pooling": "mean", "roost.normalise": "true"},
    )


def main():
    arguments = sys.argv[1:]
    if len(arguments) == 2 and arguments[0] == "mobilenet-v2":
        model = mobilenet_v2()
    elif len(arguments) == 3 and arguments[0] == "minilm":
        model = minilm(arguments[1])
    else:
        print(__doc__.strip())
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 64
    onnx.save(model, arguments[-1])
    print(f"wrote {arguments[-1]}: {os.path.getsize(arguments[-1]) / 1e6:.1f} MB, {len(model.graph.node)} nodes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
