#!/bin/sh
# lint.sh: what no compiler checks. Prints each fault; ends with status 1 if there is one.
set -u
build=${BUILD:-build}
lua=${LUA:-lua5.4}
faults=0

fault() {
	echo "$*"
	faults=$((faults + 1))
}

# ---- a layer includes only downwards, siblings never meet ---------------------------------------
allowed() {
	case $1 in
	base) echo "base" ;;
	sys) echo "base sys" ;;
	model) echo "base sys model" ;;
	script) echo "base sys model script" ;;
	capture) echo "base sys model capture" ;;
	app) echo "base sys model script capture app" ;;
	cli) echo "base sys model script capture app cli" ;;
	esac
}
for file in src/*/*.[ch]; do
	layer=${file#src/}
	layer=${layer%%/*}
	for other in $(sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$file" | sort -u); do
		case " $(allowed "$layer") " in
		*" $other "*) ;;
		*) fault "$file: layer '$layer' may not include '$other'" ;;
		esac
	done
done

# ---- single doors -------------------------------------------------------------------------------
door() { # HEADER-PATTERN PLACE-PATTERN
	for file in $(grep -lE "^#include <($1)>" src/*/*.[ch]); do
		printf '%s\n' "$file" | grep -qE "^($2)$" || fault "$file: <$1> has its door elsewhere ($2)"
	done
}
door 'lua\.h|lauxlib\.h|lualib\.h|lua-cjson\.h' 'src/script/[a-z_]+\.[ch]'
door 'ini\.h' 'src/model/conf_ini\.c'
door 'libfyaml\.h' 'src/sys/yaml\.c'
door 'nettle/.*' 'src/capture/digest\.c'
door 'sqlite3\.h' 'src/index/index_sqlite\.c'
door 'libpq-fe\.h' 'src/index/index_pg\.c'
door 'microhttpd\.h' 'src/web/http\.c'
grep -nE '\bsetlocale *\(' src/*/*.c && fault "setlocale would change how numbers are written"

# ---- headers: compile alone, say what they are for ----------------------------------------------
for header in src/*/*.h; do
	printf '#include "base/base.h"\n#include "%s"\n' "${header#src/}" |
		${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -Wno-unused-macros -fsyntax-only -Isrc \
			$(pkg-config --cflags lua5.4) -x c - || fault "$header: does not compile alone"
	head -n 1 "$header" | grep -q '^/\*' || fault "$header: does not begin with its purpose"
done
for file in src/*/*.c; do
	grep -m 1 '^#include' "$file" | grep -q '"base/base.h"' || fault "$file: base/base.h comes first"
done

# ---- the house rules that grep can see ----------------------------------------------------------
grep -nE 'TODO|FIXME|XXX' src/*/*.[ch] lua/*/*.lua plugins/*.lua plugins/*/*.lua tests/spec/*.lua &&
	fault "unfinished work is marked in the source"
awk 'length($0) > 100 { gsub(/\t/, "        "); }
	{ line = $0; gsub(/\t/, "        ", line); if (length(line) > 104) print FILENAME ":" FNR ": longer than 100 columns" }' \
	src/*/*.[ch] | grep . && fault "overlong lines"

# ---- documents against the code -----------------------------------------------------------------
if [ -x "$build/thhost" ]; then
	"$lua" config/dev/check_docs.lua "$build/thhost" || fault "documents and code disagree"
fi

# ---- tools --------------------------------------------------------------------------------------
luacheck -q lua plugins tests/spec tests/support tests/example config/dev || fault "luacheck"
for page in docs/*.1 docs/*.5; do
	[ -e "$page" ] || continue
	mandoc -T lint -W warning "$page" || fault "$page: mandoc"
done
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
	--suppress=nullPointerOutOfMemory --suppress=missingIncludeSystem -j 2 -Isrc src || fault "cppcheck"
# Layout is checked on what changed only, so that an old line is never touched for its looks.
base=$(git merge-base HEAD "${LINT_BASE:-HEAD~1}" 2>/dev/null || true)
if [ -n "$base" ] && command -v git-clang-format >/dev/null 2>&1; then
	if git clang-format --diff "$base" --extensions c,h 2>/dev/null | grep -q '^[-+][^-+]'; then
		echo "note: git clang-format $base would change the layout of this change"
	fi
fi

if [ $faults = 0 ]; then
	echo "lint: clean"
else
	echo "lint: $faults faults"
	exit 1
fi
