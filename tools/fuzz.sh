#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# usage: fuzz.sh TARGET [libFuzzer option]... CORPUS: a short fuzzing run that begins with the corpus
# and leaves it as it is (libFuzzer writes what it finds into the first folder it is given).
set -eu
for last; do :; done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
n=$#
i=0
for arg; do
	i=$((i + 1))
	[ $i = "$n" ] || set -- "$@" "$arg"
done
shift "$n"
"$@" "$scratch" "$last"
