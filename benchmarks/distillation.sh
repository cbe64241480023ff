#!/usr/bin/env bash
# What training towards the original gives back, on the embedded model: perplexity and KL divergence, as rows of a Markdown table.
#   benchmarks/distillation.sh [STEPS]        (the runs go to out/distillation; about 25 minutes on two cores with 100 steps)
set -euo pipefail
cd "$(dirname "$0")/.."
compress=${COMPRESS:-dotnet run -c Release --no-build --project src/Compress.Cli --}
steps=${1:-100}
mkdir -p out/distillation
recipe=out/distillation/recipe.yaml

row() { # NAME PRUNE [DISTILL]
  printf '%s\n' 'model: models/embedded' \
    'calibration: { data: data/calibration.txt, samples: 32, length: 512 }' \
    'stages:' "  - prune: { $2 }" > "$recipe"
  if [ $# -gt 2 ]; then
    printf '  - distill: { data: dotnet-reference-documentation, steps: %s, learning_rate: 1.0e-3, %s }\n' "$steps" "$3" >> "$recipe"
  fi
  printf '%s\n' 'evaluate: [ perplexity: { data: data/heldout.txt, protocol: gptq }, divergence: { against: original } ]' >> "$recipe"
  rm -rf out/distillation/run
  $compress run "$recipe" --output out/distillation/run --json 2> /dev/null |
    awk -v name="$1" -F'[:,]' '
      /"perplexity"/ { x = $2 } /"perplexity_standard_error"/ { dx = $2 } /"kl_mean"/ { k = $2 } /"kl_mean_standard_error"/ { dk = $2 }
      END { printf "| %s | %.2f ± %.2f | %.4f ± %.4f |\n", name, x, dx, k, dk }'
}

wanda='method: wanda, sparsity: 0.6'
row '`wanda, sparsity: 0.6`' "$wanda"
row '… cross-entropy of the text' "$wanda" 'keep: sparsity, losses: [cross_entropy: {}]'
row '… forward KL (default)' "$wanda" 'keep: sparsity'
row '… reverse KL' "$wanda" 'keep: sparsity, losses: [reverse_kl: {}]'
row '… Jensen-Shannon' "$wanda" 'keep: sparsity, losses: [jensen_shannon: {}]'
row '… DistilBERT’s triple loss' "$wanda" 'keep: sparsity, losses: [{ forward_kl: { temperature: 2, weight: 5 } }, { cross_entropy: { weight: 2 } }, { hidden_states: { measure: cosine, layers: last } }]'
row '… forward KL, adapters of rank 8' "$wanda" 'keep: sparsity, train: lora'
row '… forward KL, norms only' "$wanda" 'keep: sparsity, train: norms'
flap='method: flap, ratio: 0.3, structure: ul_um'
row '`flap, ratio: 0.3, structure: ul_um`' "$flap"
row '… cross-entropy of the text' "$flap" 'losses: [cross_entropy: {}]'
row '… forward KL' "$flap" 'train: all'
half='method: shortgpt, remove: 2'
row '`shortgpt, remove: 2` (half the depth)' "$half"
row '… cross-entropy of the text' "$half" 'losses: [cross_entropy: {}]'
row '… forward KL' "$half" 'train: all'
row '… forward KL and hidden states' "$half" 'losses: [{ forward_kl: {} }, { hidden_states: {} }]'
