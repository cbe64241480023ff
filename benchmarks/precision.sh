#!/usr/bin/env bash
# Does bf16 arithmetic in calibration's forward passes change a result? Runs the quickstart recipe in f32 and bf16 for several seeds of
# the calibration draw: what the arithmetic changes is to be compared with what the draw changes.
#   benchmarks/precision.sh [SEED...]        (default: 0 1 2 3; the runs go to out/precision)
set -euo pipefail
cd "$(dirname "$0")/.."
compress=${COMPRESS:-dotnet run -c Release --no-build --project src/Compress.Cli --}
[ $# -gt 0 ] || set -- 0 1 2 3
for seed in "$@"; do
  for precision in f32 bf16; do
    run=out/precision/$precision-$seed
    rm -rf "$run"
    $compress run recipes/quickstart.yaml --output "$run" --json --set seed="$seed" --set calibration.precision=$precision 2> /dev/null |
      awk -v p=$precision -v s="$seed" -F'[:,]' '
        /"perplexity"/ { x = $2 } /"perplexity_standard_error"/ { dx = $2 } /"kl_mean"/ { k = $2 } /"kl_mean_standard_error"/ { dk = $2 }
        END { printf "seed %s  %-4s  perplexity %.4f ± %.4f  KL divergence %.5f ± %.5f\n", s, p, x, dx, k, dk }'
  done
done
