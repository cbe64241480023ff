#!/usr/bin/env bash
# Structured pruners on the embedded model: perplexity, KL divergence and size of each, as rows of a Markdown table.
#   benchmarks/structured.sh        (the runs go to out/structured)
set -euo pipefail
cd "$(dirname "$0")/.."
compress=${COMPRESS:-dotnet run -c Release --no-build --project src/Compress.Cli --}
mkdir -p out/structured
recipe=out/structured/recipe.yaml
while IFS= read -r stage; do
  printf '%s\n' 'model: models/embedded' \
    'calibration: { data: data/calibration.txt, samples: 32, length: 512 }' \
    "stages: [ prune: { method: $stage } ]" \
    'evaluate: [ perplexity: { data: data/heldout.txt, protocol: gptq }, divergence: { against: original } ]' \
    'export: [ { format: hf, to: model } ]' > "$recipe"
  rm -rf out/structured/run
  $compress run "$recipe" --output out/structured/run --json 2> /dev/null |
    awk -v stage="$stage" -F'[:,]' '
      /"perplexity"/ { x = $2 } /"perplexity_standard_error"/ { dx = $2 } /"kl_mean"/ { k = $2 } /"kl_mean_standard_error"/ { dk = $2 }
      /"exports"/ { exported = 1 } /"bytes"/ && exported { bytes = $2 }
      END { printf "| `%s` | %.2f MB | %.2f ± %.2f | %.4f ± %.4f |\n", stage, bytes / 1e6, x, dx, k, dk }'
done << 'STAGES'
flap, ratio: 0.3
flap, ratio: 0.3, compensate: none
flap, ratio: 0.3, compensate: least_squares
flap, ratio: 0.3, structure: ul_um
flap, ratio: 0.3, structure: ul_um, compensate: none
flap, ratio: 0.3, structure: ul_um, compensate: least_squares
wanda_sp, ratio: 0.3
wanda_sp, ratio: 0.3, compensate: least_squares
magnitude_sp, ratio: 0.3
magnitude_sp, ratio: 0.3, compensate: least_squares
shortgpt, remove: 1
sleb, remove: 1
shortgpt, remove: 1, unit: attention
STAGES
