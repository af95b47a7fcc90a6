#!/usr/bin/env bash
# Builds Prism, Beam's portable runner for one machine, so that it listens on loopback only. Needs Go; takes a minute.
#
#   tools/build_prism.sh [FILE]    the program to write, unless it is there; default ~/.cache/reelbeam/prism-VERSION
#
# Beam's own build listens on every network interface, without access control. The last line printed is the path.
set -euo pipefail
version=v2.77.0
target="${1:-${XDG_CACHE_HOME:-$HOME/.cache}/reelbeam/prism-$version}"
server=go/pkg/beam/runners/prism/internal/jobservices/server.go

if [[ -x "$target" ]]; then
  echo "$target"
  exit 0
fi
if ! command -v go >/dev/null; then
  echo "Prism is built with Go, and no \`go\` is on the PATH: install Go (https://go.dev/doc/install)" >&2
  exit 1
fi
mkdir -p "$(dirname "$target")"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"  # outside of any Go module
source="$(go mod download -json "github.com/apache/beam/sdks/v2@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')"
cp -R "$source/go" "$source/go.mod" "$source/go.sum" .
chmod -R u+w .
sed -i.original 's/fmt\.Sprintf(":%d", port)/fmt.Sprintf("localhost:%d", port)/' "$server"
if cmp -s "$server" "$server.original"; then
  echo "Prism $version opens its port in another way than this script expects: $server" >&2
  exit 1
fi
go build -trimpath -o "$scratch/prism" ./go/cmd/prism >&2
mv "$scratch/prism" "$target"
echo "$target"
