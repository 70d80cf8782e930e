#!/usr/bin/env bash
# What a GPU changes, in one go of at most 9 minutes: GPU tests, speeds beside SpikingJelly's loop, two trained networks.
#
#   experiments/gpu/check.sh [--tiny] [--data DIR] [--out DIR]
#
# DIR holds cifar10_jpeg.npz, lossy JPEG copies of CIFAR-10 (by default experiments/gpu/data, which git ignores). --tiny
# runs every part on a CPU within a minute or two and says nothing about speed. PYTHON names the interpreter, with
# `hasnas[search]` in it.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 2
PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1

echo "== tests on the device"
# The options of the project's own configuration ask for plug-ins that a bare machine may lack.
timeout 100 "$PYTHON" -m pytest -q -x -rs -p no:cacheprovider tests/test_devices.py 2>&1 | tail -15 || echo "tests: failed"

timeout 435 "$PYTHON" experiments/gpu/check.py "$@"
