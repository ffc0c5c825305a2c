#!/usr/bin/env bash
# What this machine's GPU makes of overpaint, in ten minutes or so; prints a table to paste.
#
#     benchmarks/gpu.sh [PYTHON]
#
# Needs overpaint with its `test` extra, and a torch with CUDA, in that Python (.venv/bin/python if
# there is one, else python3), and nothing from the internet: pictures are drawn, weights random. Each
# part goes on when another failed; what failed is said at the end, and the status is then 1.

set -u
cd "$(dirname "$0")/.."
python=${1:-$(test -x .venv/bin/python && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD/src" ACCELERATE_USE_CPU=false PYTHONUNBUFFERED=1
failed=()

part() {  # TITLE SECONDS COMMAND…
    printf '\n## %s\n\n' "$1"
    timeout "$2" "${@:3}" || failed+=("$1")
}

"$python" - <<'PYTHON' || exit 1
import importlib.metadata as metadata
import os
import platform
import sys

import torch

if not torch.cuda.is_available():
    sys.exit("torch reaches no GPU by CUDA here: nothing to measure")
card = torch.cuda.get_device_properties(0)
print("| what | here |\n|---|---|")
print(f"| card | {card.name}, {card.total_memory / 2**30:.0f} GiB |")
print(f"| cores | {os.cpu_count()} |")
print(f"| Python | {platform.python_version()} |")
print(f"| CUDA, cuDNN | {torch.version.cuda}, {torch.backends.cudnn.version()} |")
for name in ("torch", "torchvision", "timm", "accelerate", "numpy", "pillow"):
    print(f"| {name} | {metadata.version(name)} |")
PYTHON

part "training, InceptionV1" 150 "$python" benchmarks/train.py \
    --images 1024 --rounds 3 --batch 32 256 --only inception_v1
part "training, ResNet-50" 90 "$python" benchmarks/train.py \
    --images 1024 --rounds 3 --batch 64 --only torchvision:resnet50
part "decode and feed" 90 "$python" benchmarks/decode.py --pictures 32 --rounds 3
part "features beside bare forwards" 90 "$python" benchmarks/features.py speed --images 4096 --rounds 3
part "a whole layer rendered" 120 "$python" benchmarks/render.py --whole
part "tests of what a device does" 300 "$python" -m pytest -q -p no:cacheprovider \
    tests/test_device.py tests/test_features.py tests/pixels tests/training tests/render

if ((${#failed[@]})); then
    printf '\nFailed or out of time: %s\n' "${failed[@]}"
    exit 1
fi
