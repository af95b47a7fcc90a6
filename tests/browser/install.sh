#!/bin/sh
# Installs what the browser tests need: Chromium, and axe-core from npm. Without them, the tests are skipped.
set -u
cd "$(dirname "$0")"

has() {
	command -v "$1" >/dev/null
}

missing=""
has chromium || missing="chromium"
has npm || missing="$missing npm"
if [ -n "$missing" ] && has apt-get && [ "$(id -u)" = 0 ]; then
	echo "installing $missing"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086  # two words are two packages
	apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing >/dev/null
fi
# npm ci removes what is there first, so without a network it would leave nothing.
[ node_modules/.package-lock.json -nt package-lock.json ] || { has npm && npm ci --ignore-scripts --silent; }
has chromium && [ -f node_modules/axe-core/axe.min.js ] && exit 0
echo "the browser tests will be skipped: they need chromium and npm (on Debian: apt-get install chromium npm)" >&2
[ "${CI:-}" != true ]
