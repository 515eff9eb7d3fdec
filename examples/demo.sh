#!/usr/bin/env bash
# The whole road in a few minutes on two cores: photon showers in, a trained surrogate, a ROOT file, a report.
#
#   usage: examples/demo.sh [FOLDER]      (HEPGEN=... is the command, BUDGET=... the training time)
set -euo pipefail

folder=${1:-demo}
hepgen=${HEPGEN:-hepgen}
budget=${BUDGET:-4m}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

step() {
    printf '\n$ hepgen %s\n' "$*" >&2
    "$hepgen" "$@"
}

mkdir -p "$folder"
step inspect "$here/data/photons.hdf5" --binning "$here/data/binning_photons.xml"
step train "$here/../configs/demo.yaml" -o "$folder/run" --budget "$budget" --seed 1 --force
step sample "$folder/run" -n 20000 -o "$folder/generated.root" --seed 2 --force
step evaluate "$here/data/photons_test.hdf5" "$folder/generated.root" --model "$folder/run" -o "$folder" --seed 3 --force
printf '\nGenerated showers: %s\nReport: %s\n' "$folder/generated.root" "$folder/report.html"
