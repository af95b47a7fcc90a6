#!/bin/sh
# Installs what the browser tests need: Chromium, npm, and axe-core from npm. Without them, the tests are skipped.
set -u
cd "$(dirname "$0")" || exit 1

has() {
	command -v "$1" >/dev/null
}

absent() {
	for program in chromium npm; do
		has "$program" || printf ' %s' "$program"
	done
}

if [ -n "$(absent)" ] && has apt-get && [ "$(id -u)" = 0 ]; then
	echo "installing$(absent)"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2046  # two words are two packages
	apt-get -qq update && apt-get -qq install --yes --no-install-recommends $(absent) >/dev/null
fi
# npm ci removes what is there first, so without a network it would leave nothing.
[ node_modules/.package-lock.json -nt package-lock.json ] ||
	{ has npm && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; }
if has chromium && [ -f node_modules/axe-core/axe.min.js ]; then
	exit 0
fi
if [ -n "$(absent)" ]; then
	echo "the browser tests will be skipped: not installed:$(absent); as root on Debian: apt-get install$(absent)" >&2
else
	echo "the browser tests will be skipped: npm could not install axe-core, see above" >&2
fi
[ "${CI:-}" != true ]
