"""The format of weights under any name, by how a file begins: a look, not an inspection.

Each is what the one writer of a format puts there, and nothing else. See the sources next to them.
How a new one begins has to be in :mod:`fx_hooks.fastpath.unnamed_weights`, too.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

# A pickle of torch.serialization.MAGIC_NUMBER, as torch.save has always written it.
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
# All that is ever looked at of a file.
HEAD_BYTES = 1 << 17
_LOCAL = struct.Struct("<4s5H3I2H")
# The parts of arrays' names in checkpoints: Flax, Keras, Haiku, Chainer, OpenAI's.
_OF_A_MODEL = (
    rb"(?:^|[^a-z])(?:params|opt_state|kernel|weights?|bias|gamma|beta|running_mean|running_var"
    rb"|embeddings?|moving_mean|state_dict|optimizer)(?:[^a-z]|$)"
)
_PICKLES = (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5")
# An estimator that a pickle names, by STACK_GLOBAL or GLOBAL, or what a training goes on with.
# Scalers and encoders, data sets and what else a package has are none.
_MODULE = (
    rb"(?:sklearn\.(?:calibration|cluster|cross_decomposition|discriminant_analysis|dummy|ensemble"
    rb"|gaussian_process|isotonic|kernel_ridge|linear_model|mixture|model_selection|multiclass"
    rb"|multioutput|naive_bayes|neighbors|neural_network|semi_supervised|svm|tree)"
    rb"|xgboost\.(?:core|sklearn)|lightgbm\.(?:basic|sklearn)|catboost\.core"
    rb"|gensim\.models|stable_baselines3\.common\.(?:buffers|vec_env))(?:\.[\w.]+)?"
)
_ESTIMATOR = re.compile(
    rb"\x8c." + _MODULE + rb"\x94\x8c.\w+\x94\x93|c" + _MODULE + rb"\n\w+\n", re.DOTALL
)
# joblib.dump(compress=N): a stream of zlib, or of gzip. What it holds is seen in its first bytes.
_ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda", b"\x1f\x8b\x08")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_KERAS = (b"keras_version", b"model_weights", b"layer_names", b"optimizer_weights")


def weights_format(head: bytes, size: int) -> str:
    """Return the format of a file of *size* bytes that begins with *head*; empty if it is none."""
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if head.startswith(LEGACY_MAGIC):
        return "PyTorch"
    if head.startswith(_PICKLES):
        return _pickle(head)
    if head.startswith(_ZLIB):
        inner = _inflated(head)
        return _pickle(inner) if inner.startswith(_PICKLES) else ""
    if head.startswith(b"GGUF") and head[4:8] in (b"\1\0\0\0", b"\2\0\0\0", b"\3\0\0\0"):
        return "GGUF"
    if head.startswith(_HDF5):
        return "Keras" if any(word in head for word in _KERAS) else ""
    if head.startswith(b"CBM1"):
        return "CatBoost"
    # xgboost/src/common/json.cc: UBJSON of {"learner": ...}
    if head.startswith((b"{L\0\0\0\0\0\0\0\x07learner", b'{"learner":{"attributes":')):
        return "XGBoost"
    # LightGBM: src/boosting/gbdt_model_text.cpp, SaveModelToString
    if head.startswith(b"tree\nversion=v"):
        return "LightGBM"
    # fastText/src/fasttext.cc, signModel: the number, and the version of the format
    if head.startswith(b"\xba\x16\x4f\x2f") and head[4:8] in (b"\x0b\0\0\0", b"\x0c\0\0\0"):
        return "fastText"
    # kenlm/lm/binary_format.cc: kMagicBeforeVersion
    if head.startswith(b"mmap lm http://kheafield.com/code format version"):
        return "KenLM"
    # mxnet/src/ndarray/ndarray.cc: kMXAPINDArrayListMagic, and a reserved number
    if head.startswith(b"\x12\x01" + bytes(14)):
        return "MXNet"
    # ggml before GGUF: llama.cpp's file versions ggml, ggmf and ggjt, and whisper.cpp
    if head.startswith((b"lmgg", b"fmgg", b"tjgg")):
        return "GGML"
    # ultralytics/engine/exporter.py: export_engine writes its metadata before the engine
    if head[4:].startswith(b'{"description": "Ultralytics'):
        return "TensorRT"
    # tensorflow/compiler/mlir/lite/schema/schema.fbs: file_identifier
    if head[4:8] == b"TFL3":
        return "TensorFlow Lite"
    if _is_safetensors(head, size):
        return "safetensors"
    if _is_graph(head):
        return "TensorFlow"
    return "ONNX" if _is_onnx(head, size) else ""


def _pickle(head: bytes) -> str:
    # An estimator may stand behind others: the last step of a pipeline, next to a scaler.
    return "scikit-learn and the like" if _ESTIMATOR.search(head) else ""


def _inflated(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(wbits=47).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _zip(head: bytes) -> str:
    # caffe2/serialize/inline_container.cc pads every record by an extra field of this name, and
    # puts all of them below one folder.
    name = _LOCAL.unpack_from(head)[-2] if len(head) >= _LOCAL.size else 0
    start = _LOCAL.size
    if head[start + name : start + name + 2] == b"FB" and b"/" in head[start : start + name]:
        return "PyTorch"
    names = list(_members(head))
    # Packed anew by another program, which torch loads all the same.
    if any(name.endswith(b"/data.pkl") for name in names) and any(map(_is_of_torch, names)):
        return "PyTorch"
    if {b"metadata.json", b"config.json"} <= set(names) and b"keras_version" in head:
        return "Keras"
    if b"data" in names and b"stable_baselines3" in head:
        return "Stable-Baselines3"
    if {b"model_params.json", b"network.pt"} <= set(names):  # pytorch_tabnet/abstract_model.py
        return "TabNet"
    if b"MAR-INF/MANIFEST.json" in names:  # model_archiver/model_packaging_utils.py
        return "TorchServe"
    if names and all(name.endswith(b".npy") for name in names):
        return "NumPy" if any(re.search(_OF_A_MODEL, name) for name in names) else ""
    return ""


def _is_of_torch(name: bytes) -> bool:
    """Return True for a storage, or for what only torch puts next to ``data.pkl``."""
    folder, _, last = name.partition(b"/")
    return bool(folder) and (
        last in (b"version", b"byteorder", b".format_version", b".data/serialization_id")
        or (last.startswith(b"data/") and last[5:].isdigit())
    )


def _members(head: bytes) -> Iterator[bytes]:
    """Yield the names of the first members of a zip archive, as far as *head* goes."""
    place = 0
    while head[place : place + 4] == b"PK\x03\x04" and place + _LOCAL.size <= len(head):
        *_, stored, _, name, extra = _LOCAL.unpack_from(head, place)
        start = place + _LOCAL.size
        yield head[start : start + name]
        place = start + name + extra + stored
        # Sizes may stand behind the content: then nobody knows where the next one begins.
        if not stored:
            place = head.find(b"PK\x03\x04", place)
            if place < 0:
                return


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return (
        head[8:9] == b"{"
        and 2 <= length <= size - 8
        and (b'"data_offsets"' in head[: 8 + length] or b'"__metadata__"' in head[:32])
    )


# tensorflow/core/framework/graph.proto, node_def.proto: a list of nodes, each with name and op. The
# first node of a frozen graph takes an input, or is a weight.
_FIRST_OPS = frozenset((b"Placeholder", b"PlaceholderV2", b"Const", b"VariableV2"))


def _is_graph(head: bytes) -> bool:
    """Return True for a graph of TensorFlow, as frozen ones are written."""
    if head[:1] != b"\n":
        return False
    size, place = _varint(head, 1)
    length, start = _varint(head, place + 1)
    op = start + length
    ends = op + 2 + head[op + 1] if op + 1 < len(head) else 0
    return (
        head[place : place + 1] == b"\n"
        and head[op : op + 1] == b"\x12"
        and head[op + 2 : ends] in _FIRST_OPS
        and ends <= place + size
    )


# onnx/onnx.proto, ModelProto: its fields by number, and those that are numbers.
_MODEL_FIELDS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26))
_NUMBERS = frozenset((1, 5))
_GRAPH = 7


def _is_onnx(head: bytes, size: int) -> bool:
    """Return True for a model: its version of the format, then the fields, a graph among them."""
    if head[:1] != b"\x08":
        return False
    place = 0
    while place < len(head):
        key, place = _varint(head, place)
        field, kind = key >> 3, key & 7
        value, place = _varint(head, place)
        if field not in _MODEL_FIELDS or kind != (0 if field in _NUMBERS else 2):
            return False
        if field == _GRAPH:
            # A graph begins with its nodes, and a node with its inputs or outputs.
            inner, begin = _varint(head, place + 1)
            return (
                place + value <= size
                and head[place : place + 1] == b"\x0a"
                and inner < value
                and head[begin : begin + 1] in (b"\x0a", b"\x12")
            )
        if kind == 2:
            place += value
    return False


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 63:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, place
