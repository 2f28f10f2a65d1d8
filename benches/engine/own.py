"""Ajar's own layers, as `ajar engine trace` writes them."""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from agreement import Maps, Subject
from engines import EngineError
from network import Network
from pictures import real_values

BLOCK = 16  # channels are padded to a multiple of this


class AjarLayers:
    """Every layer's output for a picture, by Ajar's engine on the path it chooses."""

    def __init__(self, program: Path, network: Network):
        self.program = program
        self.outputs = [network.activations[layer.output] for layer in network.layers]

    def maps(self, picture: np.ndarray) -> list[np.ndarray]:
        """`picture` is the network's u8 input; outputs are u8, [channel, row, column]."""
        pixels = np.zeros((*picture.shape[1:], 4), np.uint8)
        pixels[..., :3] = picture.transpose(1, 2, 0)
        with tempfile.TemporaryDirectory() as folder:
            entry, trace = Path(folder, "input"), Path(folder, "trace")
            entry.write_bytes(pixels.tobytes())
            command = [str(self.program), "engine", "trace", "--inputs", str(entry), "--out", str(trace)]
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                raise EngineError(f"{' '.join(command)}: exit code {ended.returncode}: {ended.stderr.strip()}")
            values = np.frombuffer(trace.read_bytes(), np.uint8)
        maps = []
        for tensor in self.outputs:
            shape = (tensor.side, tensor.side, -(-tensor.channels // BLOCK) * BLOCK)
            taken, values = values[: np.prod(shape)], values[np.prod(shape) :]
            maps.append(taken.reshape(shape)[..., : tensor.channels].transpose(2, 0, 1))
        if values.size:
            raise EngineError(f"{self.program} engine trace: {values.size} bytes more than the network has")
        return maps


def ajar_subject(layers: AjarLayers, network: Network) -> Subject:
    names = [tensor.name for tensor in layers.outputs]

    def run(picture: np.ndarray) -> Maps:
        maps = layers.maps(picture)
        taps = {tap: network.activations[name] for tap, name in network.taps.items()}
        return {tap: real_values(maps[names.index(tensor.name)], tensor) for tap, tensor in taps.items()}

    return run
