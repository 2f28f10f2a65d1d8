"""The table, the file of results and the last line."""

import statistics
from dataclasses import asdict, dataclass

from agreement import Agreement
from layerwise import LayerDifferences
from rounds import Record

SATURATES = 0.99  # cosine of `mid` below which an engine does not calculate this network


@dataclass(frozen=True)
class Results:
    machine: dict
    layers: list[LayerDifferences]
    agreements: list[Agreement]
    records: list[Record]
    tflite: dict[str, Record]  # by exit
    best: dict[str, Record]  # Ajar's best path at each exit


def conversion_lines(layers: list[LayerDifferences], agreements: list[Agreement], origin: str) -> list[str]:
    lines = [f"The same network, on {origin}:", "  each layer alone against ONNX Runtime, int8, graph as written:"]
    for line in layers:
        lines.append(f"    {line.subject:<34} {line.by_one} of {line.values:,} values differ by one step, none by more")
    lines += [
        "  whole runs against the same:",
        f"    {'':<34} {'feature':<8} {'cosine mean':>11} {'worst':>7} {'largest difference':>19}",
    ]
    for line in agreements:
        cosines = f"{line.cosine_mean:11.4f} {line.cosine_worst:7.4f}"
        lines.append(f"    {line.subject:<34} {line.feature:<8} {cosines} {line.steps_worst:13.1f} steps")
    return lines


def machine_lines(machine: dict) -> list[str]:
    return [
        f"CPU: {machine['cpu']}, features {' '.join(machine['features']) or 'none'}",
        "Versions: " + ", ".join(f"{name} {number}" for name, number in machine["versions"].items()),
        "TFLite int8 is LiteRT's XNNPACK delegate with one thread: it takes the whole graph, and says so.",
    ]


def table(results: Results) -> list[str]:
    lines = [
        f"{'engine':<24} {'path':<12} {'exit':<5} {'ms median':>9} {'ms min':>8} {'x TFLite':>9}"
        f" {'x TFLite mid':>12} {'allocations/run':>15}"
    ]
    for record in results.records:
        engine = record.engine
        same_exit = f"{record.ratio(results.tflite['mid']):.2f}" if engine.stop_at == "mid" else "-"
        allocations = "-" if record.allocations is None else str(record.allocations)
        lines.append(
            f"{engine.name:<24} {engine.path:<12} {engine.stop_at:<5} {record.median_ms:9.3f} {record.min_ms:8.3f}"
            f" {record.ratio(results.tflite['last']):9.2f} {same_exit:>12} {allocations:>15}"
        )
    return lines


def notes(results: Results) -> list[str]:
    rounds = sorted(sample.median_us / 1000 for sample in results.tflite["last"].samples)
    ratios = sorted(results.best["last"].ratios(results.tflite["last"]))
    lines = [
        f"Noise over {len(rounds)} rounds: TFLite int8 {rounds[0]:.3f} to {rounds[-1]:.3f} ms,"
        f" ratio of the full network {ratios[0]:.2f} to {ratios[-1]:.2f}."
    ]
    fronts = [sample.front_us for sample in results.best["last"].samples if sample.front_us is not None]
    if fronts:
        front = statistics.median(fronts)
        lines.append(f"Ajar's front, from picture to input tensor, is not in the table: {front:.0f} us.")
    for line in results.agreements:
        if line.subject == "ONNX Runtime int8, default" and line.feature == "mid" and line.cosine_mean < SATURATES:
            lines.append(
                "ONNX Runtime's default mode saturates sums on this CPU: its time is not that of the same result"
                f" (cosine of `mid` {line.cosine_mean:.3f} mean, {line.cosine_worst:.3f} worst)."
            )
    chosen, best = results.machine["ajar_path"], results.best["last"].engine.path
    if chosen != best:
        lines.append(f"Ajar chooses {chosen} by itself on this CPU; {best} was faster here.")
    return lines


def summary(results: Results) -> dict[str, float | int]:
    full = results.tflite["last"]
    return {
        "full": round(results.best["last"].ratio(full), 2),
        "early_exit": round(results.best["mid"].ratio(full), 2),
        "allocations": max(record.allocations for record in results.best.values()),
    }


def last_line(figures: dict[str, float | int]) -> str:
    return (
        f"bench-engine: full {figures['full']:.2f} x TFLite int8, early exit {figures['early_exit']:.2f} x,"
        f" allocations {figures['allocations']}"
    )


def as_json(results: Results) -> dict:
    engines = [
        {
            "engine": record.engine.name,
            "path": record.engine.path,
            "stop_at": record.engine.stop_at,
            "ms_median": record.median_ms,
            "ms_min": record.min_ms,
            "ratio_to_tflite": record.ratio(results.tflite["last"]),
            "allocations": record.allocations,
            "runs_per_round": record.runs,
            "rounds": [asdict(sample) for sample in record.samples],
        }
        for record in results.records
    ]
    return {
        "machine": results.machine,
        "layers_alone": [asdict(line) for line in results.layers],
        "agreements": [asdict(line) for line in results.agreements],
        "engines": engines,
        "summary": summary(results),
    }
