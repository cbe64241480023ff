#!/usr/bin/env bash
# Quantizers on the embedded model: file size, perplexity and KL divergence of each, as rows of a Markdown table.
#   benchmarks/quantization.sh [STAGE …]        (the runs go to out/quantization; without arguments, all that docs/quantization.md lists)
set -euo pipefail
cd "$(dirname "$0")/.."
compress=${COMPRESS:-dotnet run -c Release --no-build --project src/Compress.Cli --}
mkdir -p out/quantization
recipe=out/quantization/recipe.yaml
if [ $# -eq 0 ]; then
  for bits in 4 3; do
    grid="bits: $bits, group_size: 64"
    set -- "$@" "rtn, $grid" "hqq, $grid" "rtn, $grid, mse: true" "gptq, $grid" "gptq, $grid, mse: true" "gptq, $grid, importance: true"
    set -- "$@" "awq, $grid" "awq, $grid, clip: false" "awq, $grid, grid_points: 1" "squeezellm, bits: $bits"
  done
  set -- "$@" 'rtn, bits: 8, group_size: -1, symmetric: true, flavour: absmax' smoothquant
fi
for stage in "$@"; do
  printf '%s\n' 'model: models/embedded' \
    'calibration: { data: data/calibration.txt, samples: 32, length: 512 }' \
    "stages: [ quantize: { method: $stage } ]" \
    'evaluate: [ perplexity: { data: data/heldout.txt, protocol: gptq }, divergence: { against: original } ]' \
    'export: [ { format: compress, to: model } ]' > "$recipe"
  rm -rf out/quantization/run
  $compress run "$recipe" --output out/quantization/run --json 2> /dev/null |
    awk -v stage="$stage" -F'[:,]' '
      /"perplexity"/ { x = $2 } /"perplexity_standard_error"/ { dx = $2 } /"kl_mean"/ { k = $2 } /"kl_mean_standard_error"/ { dk = $2 }
      /"exports"/ { exported = 1 } /"bytes"/ && exported { bytes = $2 }
      END { printf "| `%s` | %.2f MB | %.2f ± %.2f | %.4f ± %.4f |\n", stage, bytes / 1e6, x, dx, k, dk }'
done
