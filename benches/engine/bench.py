"""Ajar's int8 executor beside TFLite, ONNX Runtime and tract: the same network, one thread, CPU time. See README.md."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from agreement import Agreement, agreements, moved, onnx_subject, tflite_subject
from convert import write_tflite
from engines import Ajar, Engine, EngineError, InProcess, ajar_engine
from layerwise import LayerDifferences, layer_differences
from machine import cpu_model, versions
from network import Network, Unreadable, read_network
from own import AjarLayers, ajar_subject
from pictures import Pictures, pictures, quantised, real_values
from report import Results, as_json, conversion_lines, last_line, machine_lines, notes, summary, table
from rounds import Record, measure
from runtimes import Mode, TfLite, WrongEngine, assert_xnnpack, onnx_call, with_scalars

REPOSITORY = Path(__file__).resolve().parents[2]
WORK = Path(__file__).resolve().parent / "work"
INT8 = REPOSITORY / "models" / "mobilenetv2-128-int8.onnx"
FLOAT = REPOSITORY / "models" / "mobilenetv2-128.onnx"
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
LEAST_COSINE = 0.99  # of `mid`, mean; what one moved input value costs is about .996
LARGEST_SHARE = 1e-4  # of values that a layer alone may round to the neighbouring step


class WrongConversion(Exception):
    """What an engine runs is not the network of the ONNX file."""


def convert(network: Network) -> dict[str, TfLite]:
    """The .tflite files: both exits, and one whose outputs are all layers."""
    outputs = {
        "last": [network.taps["mid"], network.taps["last"]],
        "mid": [network.taps["mid"]],
        "every": [layer.output for layer in network.layers],
    }
    engines = {}
    for name, tensors in outputs.items():
        path = WORK / f"mobilenetv2-128-int8-{name}.tflite"
        write_tflite(network, "mid" if name == "mid" else "last", tensors, path)
        assert_xnnpack(path)
        engines[name] = TfLite(path)
    return engines


def check(
    tflite: dict[str, TfLite], own: AjarLayers | None, network: Network, looks: Pictures
) -> tuple[list[LayerDifferences], list[Agreement]]:
    every = {"TFLite int8": tflite["every"]} | ({"Ajar int8": own} if own else {})
    layers = [layer_differences(name, INT8, engine, network, looks.rgb) for name, engine in every.items()]
    for line in layers:
        if line.worst > 1 or line.by_one > LARGEST_SHARE * line.values:
            raise WrongConversion(
                f"{line.subject}: layers alone differ from ONNX Runtime: {line.by_one} of {line.values} values by one"
                f" step, the worst by {line.worst} in {line.worst_layer}; look at how that layer is converted"
            )
    yardstick = onnx_subject(INT8.read_bytes(), network, Mode.AS_WRITTEN)
    subjects = {"Ajar int8": ajar_subject(own, network)} if own else {}
    subjects |= {
        "TFLite int8": tflite_subject(tflite["last"], network),
        "ONNX Runtime int8, exact": onnx_subject(with_scalars(INT8), network, Mode.EXACT),
        "ONNX Runtime int8, default": onnx_subject(with_scalars(INT8), network, Mode.DEFAULT),
        "one input value moved by one step": moved(yardstick),
    }
    lines = agreements(yardstick, subjects, network, looks.rgb)
    for line in lines:
        if line.subject in every and line.feature == "mid" and line.cosine_mean < LEAST_COSINE:
            raise WrongConversion(
                f"{line.subject}: cosine of `mid` to ONNX Runtime is {line.cosine_mean:.4f}, below {LEAST_COSINE}"
            )
    return layers, lines


def of_tflite(tflite: dict[str, TfLite], picture: np.ndarray) -> list[Engine]:
    for stop_at in ("last", "mid"):
        tflite[stop_at].feed(picture)
    return [InProcess("TFLite int8", "xnnpack", stop_at, tflite[stop_at].call) for stop_at in ("last", "mid")]


def of_onnx_runtime(real: np.ndarray) -> list[Engine]:
    return [
        InProcess("ONNX Runtime int8 (QDQ)", "exact", "last", onnx_call(with_scalars(INT8), Mode.EXACT, real)),
        InProcess("ONNX Runtime int8 (QDQ)", "default", "last", onnx_call(with_scalars(INT8), Mode.DEFAULT, real)),
        InProcess("ONNX Runtime f32", "default", "last", onnx_call(with_scalars(FLOAT), Mode.DEFAULT, real)),
    ]


def of_ajar(program: Path, info: dict) -> list[Engine]:
    """The path that Ajar chooses comes first, so next to TFLite: engines near in time meet the same noise."""
    paths = sorted((path for path in info["paths"] if path != "tract"), key=lambda path: path != info["path"])
    return [Ajar("Ajar int8", path, stop_at, program) for path in paths for stop_at in ("last", "mid")]


def of_tract(program: Path) -> list[Engine]:
    return [
        Ajar("tract f32", "tract", "last", program, FLOAT),
        Ajar("tract int8 (QDQ)", "tract", "last", program, INT8),
    ]


def fastest(records: list[Record], stop_at: str) -> Record:
    own = [r for r in records if r.engine.name == "Ajar int8" and r.engine.stop_at == stop_at]
    return min(own, key=lambda record: record.median_ms)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ajar", type=Path, default=REPOSITORY / "target" / "release" / "ajar", metavar="PROGRAM")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=20, help="of each engine in a round, at most")
    parser.add_argument("--check", action="store_true", help="only convert and check; needs no ajar")
    return parser.parse_args()


def run(asked: argparse.Namespace) -> None:
    # First, so that a program that is not there is known at once.
    info = None if asked.check else ajar_engine(asked.ajar, ["info", "--json"], ("cpu_features", "paths", "path"))
    network = read_network(INT8)
    looks = pictures(SHARED_DATA, network.activations[network.source].side)
    tflite = convert(network)
    own = None if asked.check else AjarLayers(asked.ajar, network)
    layers, lines = check(tflite, own, network, looks)
    print("\n".join(conversion_lines(layers, lines, looks.origin)))
    if info is None:
        return

    machine = {"cpu": cpu_model(), "features": info["cpu_features"], "ajar_path": info["path"]}
    machine["versions"] = versions(REPOSITORY)
    entry = network.activations[network.source]
    picture = quantised(looks.rgb[0], entry)
    engines = of_tflite(tflite, picture) + of_ajar(asked.ajar, info)
    engines += of_onnx_runtime(real_values(picture, entry)) + of_tract(asked.ajar)
    records = measure(engines, asked.rounds, asked.runs, lambda text: print(text, file=sys.stderr))

    reference = {record.engine.stop_at: record for record in records if record.engine.name == "TFLite int8"}
    best = {stop_at: fastest(records, stop_at) for stop_at in ("last", "mid")}
    results = Results(machine, layers, lines, records, reference, best)
    (WORK / "result.json").write_text(json.dumps(as_json(results), indent=1) + "\n")
    print("\n".join(["", *machine_lines(machine), "", *table(results), "", *notes(results)]))
    print(last_line(summary(results)))


def main() -> int:
    try:
        run(arguments())
    except (WrongConversion, WrongEngine) as error:
        print(f"bench-engine: {error}", file=sys.stderr)
        return 1
    except (EngineError, Unreadable, subprocess.CalledProcessError, OSError) as error:
        print(f"bench-engine: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
