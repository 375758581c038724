#!/bin/sh
# Installs dicomnode from the wheels beside this file, without network or compiler: install.sh [FOLDER]
# FOLDER (/opt/dicomnode) becomes a virtual environment; one that is there is brought up to date.
# PYTHON names the interpreter (python3).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=${1:-/opt/dicomnode}
python=${PYTHON:-python3}
needed=$(cat "$here/PYTHON")

found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$found" != "$needed" ]; then
    echo "install.sh: $python is Python $found; these wheels are for Python $needed. Name another: PYTHON=… $0" >&2
    exit 2
fi
(cd "$here" && sha256sum --quiet --check SHA256SUMS)

# pip comes as one of the wheels and runs from there: Debian's python3 has none, and a node needs none.
"$python" -m venv --without-pip "$target"
"$target/bin/python" "$(echo "$here"/pip-*.whl)/pip" --isolated install --quiet --upgrade --no-index \
    --find-links "$here" --constraint "$here/constraints.txt" dicomnode-ai
echo "installed: $target/bin/dicomnode"
