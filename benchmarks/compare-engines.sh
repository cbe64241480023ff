#!/usr/bin/env bash
# Times this engine, llama.cpp and ik_llama.cpp on the same GGUF files, in alternation, and prints medians and best of the rounds.
#   benchmarks/compare-engines.sh --llama BUILD/bin --ik BUILD/bin [--threads 2] [--prompt 512] [--generate 64] [--rounds 4] MODEL.gguf…
# Each engine is a process of its own in every round. The peers are built as docs/performance.md says; either may be left out.
set -euo pipefail
llama="" ik="" threads=2 prompt=512 generate=64 rounds=4 models=()
while (($#)); do
  case "$1" in
    --llama) llama="$2"; shift 2 ;;
    --ik) ik="$2"; shift 2 ;;
    --threads) threads="$2"; shift 2 ;;
    --prompt) prompt="$2"; shift 2 ;;
    --generate) generate="$2"; shift 2 ;;
    --rounds) rounds="$2"; shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) models+=("$1"); shift ;;
  esac
done
((${#models[@]})) || { sed -n 2,4p "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
dotnet build -c Release -v q -clp:ErrorsOnly src/Compress.Cli >&2
compress() { dotnet src/Compress.Cli/bin/Release/net10.0/compress.dll "$@"; }

# One line a measurement: model engine kind tokens-per-second
ours() {
  compress benchmark "$1" --prompt "$prompt" --generate "$generate" --threads "$threads" --repetitions 3 --json 2> /dev/null \
    | awk -v m="$(basename "$1")" -F'[:,]' '
        /"prompt_tokens_per_second"/ { print m, "compress", "prompt", $2 + 0 }
        /"generate_tokens_per_second"/ { print m, "compress", "generate", $2 + 0 }
        /"read_bytes_per_second"/ { print m, "read-loop", "GB/s", $2 / 1e9 }'
}
peer() {
  "$1/llama-bench" -m "$3" -t "$threads" -p "$prompt" -n "$generate" -r 2 -o json 2> /dev/null \
    | awk -v m="$(basename "$3")" -v e="$2" -F'[:,]' '
        /"n_prompt"/ { p = $2 + 0 }
        /"avg_ts"/ { print m, e, (p > 0 ? "prompt" : "generate"), $2 + 0 }'
}
for model in "${models[@]}"; do
  for ((round = 0; round < rounds; round++)); do
    ours "$model"
    [ -z "$llama" ] || peer "$llama" llama.cpp "$model"
    [ -z "$ik" ] || peer "$ik" ik_llama.cpp "$model"
  done
done | sort -s -k1,3 | awk '
  function flush(  i, j, t) {
    if (!n) return
    for (i = 2; i <= n; i++) { t = v[i]; for (j = i - 1; j > 0 && v[j] > t; j--) v[j + 1] = v[j]; v[j + 1] = t }
    printf "| %s | %s | %s | %.1f | %.1f |\n", m, e, k, (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2, v[n]
    n = 0
  }
  BEGIN { print "| file | engine | | median | best |"; print "|---|---|---|---:|---:|" }
  { if ($1 != m || $2 != e || $3 != k) flush(); m = $1; e = $2; k = $3; v[++n] = $4 }
  END { flush() }'
