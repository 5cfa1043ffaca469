#!/bin/sh
# Puts tables of result files into a page: what stands between <!-- table NAME --> and <!-- end --> is replaced by FOLDER/NAME.md.
#   scripts/insert-tables.sh PAGE.md FOLDER
set -eu
awk -v folder="$2" '
  /^<!-- table / {
    print; file = folder "/" $3 ".md"; lines = 0
    while ((getline line < file) > 0) { print line; lines++ }
    close(file); inside = 1
    if (lines == 0) { print "there is no " file > "/dev/stderr"; failed = 1; exit }
    next
  }
  /^<!-- end -->/ { inside = 0 }
  !inside { print }
  END { exit failed }
' "$1" > "$1.new"
mv "$1.new" "$1"
