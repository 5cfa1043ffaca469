#!/bin/sh
# Counts right answers of plans on the seeded cases of docs/retrieval.md, hidden in the four held-out books.
#   scripts/retrieval.sh MODEL.gguf TOKENS CASES PLAN... [--tasks=passkey,number,multi,fact,two] [--lead] [--instruction=…] [--question-form=…]
# A PLAN is a preset, perhaps with changes: "parallelcomp + budget.keep=512 + merge=reread". What is not a plan goes to
# 'parallelcomp eval retrieval' as it is; files go to target/retrieval.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
model=$1
tokens=$2
cases=$3
shift 3
# Each PLAN becomes --plan=PLAN, behind the options that stay as they are.
count=$#
while [ "$count" -gt 0 ]; do
  case $1 in
    -*) set -- "$@" "$1" ;;
    *) set -- "$@" "--plan=$1" ;;
  esac
  shift
  count=$((count - 1))
done
case " $* " in
  *" --tasks="*) ;;
  *) set -- --tasks=passkey,number,multi,fact,two "$@" ;;
esac
books=$root/integration-tests/src/test/resources/heldout
name=$(printf '%s' "$(basename "$model") $tokens $cases $*" | cksum | cut -d ' ' -f 1)
exec "$root/parallelcomp" eval retrieval --model "$model" --lengths "$tokens" --samples "$cases" \
  --filler "$books/war-and-peace.txt.gz" --filler "$books/moby-dick.txt.gz" \
  --filler "$books/the-brothers-karamazov.txt.gz" --filler "$books/bleak-house.txt.gz" \
  --out "$root/target/retrieval" --name "$name" "$@"
