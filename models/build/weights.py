"""Reads the backbone's weights from their published file, without torch and without running code from it.

The file is a `torch.save` file of the format older than torch 1.6: five pickles in a row (magic number, protocol
version, machine facts, the object, the list of storage keys), then each storage as an 8-byte count and raw values.
A pickle can name any function to call, so the unpickler below knows just the few names such a file needs and refuses
all others.
"""

import collections
import hashlib
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WEIGHTS_SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"

MAGIC = 0x1950A86A20F9469CFC6C
STORAGE_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass
class StorageType:
    """A class of torch storages: only the type of its values matters here."""

    dtype: str


@dataclass
class Storage:
    """A flat run of values; `values` is filled in after the pickles have been read."""

    dtype: str
    count: int
    values: np.ndarray | None = None


@dataclass
class TensorView:
    """A tensor as the file describes it: a view into a storage, offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self) -> np.ndarray:
        values = self.storage.values[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides).copy()


def tensor_view(storage, offset, shape, strides, *_unused):
    """Stands in for `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`."""
    return TensorView(storage, offset, shape, strides)


class RestrictedUnpickler(pickle.Unpickler):
    """Knows ordered dictionaries, tensors and storages. Everything else is refused."""

    def __init__(self, file):
        super().__init__(file)
        self.storages: dict[str, Storage] = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return tensor_view
        if module == "torch" and name in STORAGE_TYPES:
            return StorageType(STORAGE_TYPES[name])
        raise pickle.UnpicklingError(f"weights file asks for {module}.{name}: refused")

    def persistent_load(self, reference):
        kind, storage_type, key, _device, count = reference[:5]
        if kind != "storage":
            raise pickle.UnpicklingError(f"weights file holds a {kind!r} reference: refused")
        return self.storages.setdefault(key, Storage(storage_type.dtype, count))


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors of the file by name, as float64 (counters as int64). Refuses a file with another sha256."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != WEIGHTS_SHA256:
        raise ValueError(f"{path}: sha256 is {digest}, expected {WEIGHTS_SHA256}; the published file has changed")
    with open(path, "rb") as file:
        magic = RestrictedUnpickler(file).load()
        if magic != MAGIC:
            raise ValueError(f"{path}: not an old-format torch file (magic {magic!r})")
        RestrictedUnpickler(file).load()  # protocol version
        RestrictedUnpickler(file).load()  # facts about the machine that wrote it
        unpickler = RestrictedUnpickler(file)
        tensors = unpickler.load()
        for key in RestrictedUnpickler(file).load():
            storage = unpickler.storages[key]
            (count,) = struct.unpack("<q", file.read(8))
            if count != storage.count:
                raise ValueError(f"{path}: storage {key} holds {count} values, expected {storage.count}")
            dtype = np.dtype(storage.dtype)
            storage.values = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    arrays = {name: view.array() for name, view in tensors.items()}
    return {name: a.astype(np.float64) if a.dtype.kind == "f" else a for name, a in arrays.items()}
