#!/usr/bin/env bash
# Unstructured pruners on the embedded model: perplexity and KL divergence of each, as rows of a Markdown table.
#   benchmarks/pruning.sh        (the runs go to out/pruning)
set -euo pipefail
cd "$(dirname "$0")/.."
compress=${COMPRESS:-dotnet run -c Release --no-build --project src/Compress.Cli --}
mkdir -p out/pruning
recipe=out/pruning/recipe.yaml
for choice in 'sparsity: 0.5' 'pattern: "2:4"' 'sparsity: 0.7'; do
  for method in magnitude wanda sparsegpt; do
    printf '%s\n' 'model: models/embedded' \
      'calibration: { data: data/calibration.txt, samples: 32, length: 512 }' \
      "stages: [ prune: { method: $method, $choice } ]" \
      'evaluate: [ perplexity: { data: data/heldout.txt, protocol: gptq }, divergence: { against: original } ]' > "$recipe"
    rm -rf out/pruning/run
    $compress run "$recipe" --output out/pruning/run --json 2> /dev/null |
      awk -v method="$method" -v choice="$choice" -F'[:,]' '
        /"perplexity"/ { x = $2 } /"perplexity_standard_error"/ { dx = $2 } /"kl_mean"/ { k = $2 } /"kl_mean_standard_error"/ { dk = $2 }
        END { printf "| `%s, %s` | %.2f ± %.2f | %.4f ± %.4f |\n", method, choice, x, dx, k, dk }'
  done
done
