"""What was measured on, and in which versions."""

import platform
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("ai-edge-litert", "onnxruntime", "onnx", "numpy")
DEVICE_TREE = Path("/proc/device-tree/model")  # Arm boards, whose cpuinfo names no model


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    if DEVICE_TREE.exists():
        return DEVICE_TREE.read_text().rstrip("\0")
    return f"unknown ({platform.machine()})"


def versions(repository: Path) -> dict[str, str]:
    locked = tomllib.loads((repository / "Cargo.lock").read_text())["package"]
    crates = {crate["name"]: crate["version"] for crate in locked}
    git = ["git", "-C", str(repository), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ""
    found = {"ajar": f"{crates['ajar']} ({commit or 'no git'})", "tract-onnx": crates["tract-onnx"]}
    return found | {package: version(package) for package in PACKAGES} | {"python": platform.python_version()}
