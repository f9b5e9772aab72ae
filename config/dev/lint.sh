#!/bin/sh
# lint.sh: what no compiler checks. Prints each fault; ends with status 1 if there is one.
# Environment: BUILD, LUA, CC; LINT_BASE is the branch that the layout of a change is compared with.
set -u
build=${BUILD:-build}
lua=${LUA:-lua5.4}
faults=0

fault() {
	echo "lint: $*"
	faults=$((faults + 1))
}

# ---- the house ----------------------------------------------------------------------------------
sh config/dev/check_structure.sh . || fault "the structure of src"

grep -nE 'TODO|FIXME|XXX' src/*/*.[ch] lua/*/*.lua plugins/*.lua plugins/*/*.lua tests/spec/*.lua &&
	fault "unfinished work is marked in the source"
# The formatter's limit is 100; 4 more are for a comment or a message that would suffer.
awk '{
		columns = 0
		n = split($0, part, "\t")
		for (i = 1; i <= n; i++)
			columns += length(part[i]) + (i < n ? 8 - (columns + length(part[i])) % 8 : 0)
	}
	columns > 104 { print FILENAME ":" FNR ": " columns " columns" }' src/*/*.[ch] |
	grep . && fault "overlong lines"

# ---- headers compile alone ----------------------------------------------------------------------
# shellcheck disable=SC2016
printf '%s\n' src/*/*.h | LUA_CFLAGS=$(pkg-config --cflags lua5.4) xargs -P 2 -n 8 sh -c '
	status=0
	for header; do
		printf "#include \"base/base.h\"\n#include \"%s\"\n" "${header#src/}" |
			${CC:-cc} -std=gnu11 -Wall -Wextra -Werror -Wno-unused-macros -fsyntax-only \
				-Isrc $LUA_CFLAGS -x c - || { echo "$header: does not compile alone"; status=1; }
	done
	exit $status' sh || fault "headers"

# ---- documents against the code -----------------------------------------------------------------
if [ -x "$build/thhost" ]; then
	"$lua" config/dev/check_docs.lua "$build/thhost" || fault "documents and code disagree"
else
	echo "note: no $build/thhost, the documents are not checked against it"
fi
mandoc -T lint -W warning docs/*.1 docs/*.5 || fault "mandoc"

# ---- tools --------------------------------------------------------------------------------------
luacheck --formatter plain lua plugins tests config/dev || fault "luacheck"
# One configuration: the others are the feature macros of the system's headers. The build directory
# remembers what has not changed.
mkdir -p "$build/cppcheck"
cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,portability --inline-suppr \
	--suppress=nullPointerOutOfMemory --suppress=missingIncludeSystem --max-configs=1 \
	--cppcheck-build-dir="$build/cppcheck" -j 2 -Isrc src || fault "cppcheck"

# Layout is looked at only where a change touches, so that no old line is moved for its looks; a note,
# for the tool's taste is not always right.
base=
for candidate in ${LINT_BASE:-} origin/HEAD origin/main main master HEAD~1; do
	base=$(git merge-base HEAD "$candidate" 2>/dev/null) || continue
	[ "$base" = "$(git rev-parse HEAD)" ] || break
done
if [ -n "$base" ] && command -v git-clang-format >/dev/null 2>&1; then
	files=$(git clang-format --diff --extensions c,h "$base" -- src tests 2>/dev/null |
		sed -n 's|^+++ b/||p' | tr '\n' ' ')
	[ -z "$files" ] || echo "note: 'git clang-format $base' would change the layout in $files"
fi

if [ $faults = 0 ]; then
	echo "lint: clean"
else
	echo "lint: $faults faults"
	exit 1
fi
