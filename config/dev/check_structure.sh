#!/bin/sh
# check_structure.sh DIR: does DIR/src keep to the house? Layers, single doors, how files begin.
# Prints one line for each fault; status 1 if there is one.
set -u
cd "${1:?usage: check_structure.sh DIR}" || exit 2
found=$(mktemp) || exit 2
trap 'rm -f "$found"' EXIT

# "FILE:LINE:HEADER" of each include of our own, and of each of others.
own=$(grep -HnoE '^#include "[a-z]+/[^"]*"' src/*/*.[ch])
others=$(grep -HnoE '^#include <[^>]*>' src/*/*.[ch])

# ---- a layer includes only downwards, siblings never meet ---------------------------------------
printf '%s\n' "$own" | awk -F '[:"/]' '
	BEGIN {
		below["base"] = "base"
		below["sys"] = "base sys"
		below["model"] = "base sys model"
		below["script"] = "base sys model script"
		below["capture"] = "base sys model capture"
		below["index"] = "base sys model index"
		below["app"] = "base sys model script capture index app"
		below["cli"] = "base sys model script capture index app cli"
	}
	# src / LAYER / FILE : LINE : #include "OTHER / ...
	index(" " below[$2] " ", " " $6 " ") == 0 {
		printf "%s/%s/%s:%s: layer \047%s\047 may not include \047%s\047\n", $1, $2, $3, $4, $2, $6
	}' >>"$found"
for layer in src/*/; do
	case $layer in
	src/base/ | src/sys/ | src/model/ | src/script/ | src/capture/ | src/index/ | src/app/ | src/cli/) ;;
	*) echo "$layer: no layer of this house" >>"$found" ;;
	esac
done

# ---- single doors -------------------------------------------------------------------------------
door() { # HEADER-PATTERN PLACE-PATTERN
	printf '%s\n' "$others" | grep -E "#include <($1)>" | grep -vE "^($2):" |
		sed -E "s|^([^:]*:[0-9]*):.*(<.*>)|\1: \2 has its door in $2|" >>"$found"
}
door 'lua\.h|lauxlib\.h|lualib\.h|lua-cjson\.h' 'src/script/[a-z_]+\.[ch]'
door 'ini\.h' 'src/model/conf_ini\.c'
door 'yaml\.h' 'src/sys/yaml_tree\.c'
door 'nettle/.*' 'src/capture/digest\.c'
door 'sqlite3\.h' 'src/index/db(_[a-z]+)?\.[ch]'
grep -nE '\bsetlocale *\(' src/*/*.c |
	sed 's/:\([0-9]*\):.*/:\1: setlocale would change how numbers are written/' >>"$found"

# ---- how a file begins --------------------------------------------------------------------------
for header in src/*/*.h; do
	read -r first <"$header"
	case $first in
	'/*'*) ;;
	*) echo "$header: does not begin with its purpose" >>"$found" ;;
	esac
done
awk 'FNR == 1 { seen = 0 }
	/^#include/ && !seen++ && $2 != "\"base/base.h\"" {
		print FILENAME ":" FNR ": base/base.h comes first"
	}' src/*/*.c >>"$found"

cat "$found"
[ ! -s "$found" ]
