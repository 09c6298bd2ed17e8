#!/usr/bin/env bash
# A game day: a console with several workspaces is lost and recovered into an empty one, against the clock. It runs on
# embedded consoles in a temporary folder, and needs no key to anything real.
#
#   docs/gameday.sh [WORKSPACES]     5 by default
set -euo pipefail

command -v jitsu-backup > /dev/null || { echo "jitsu-backup is not on the PATH; activate its environment" >&2; exit 1; }
workspaces=${1:-5}
first_port=${GAMEDAY_PORT:-3131}
folder=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
# ignore the settings of whoever runs this
while IFS= read -r name; do unset "$name"; done < <(compgen -e JITSU || true)
export HOME=$folder JITSU_APIKEY=key1:secret1secret1secret1
token=service:admintoken auth="Authorization: Bearer $JITSU_APIKEY" json='Content-Type: application/json'

say() { printf '\n== %s\n' "$*"; }
# PORT [FLAG]...: start a console, and wait until it answers; its process is $!. It has the version of July 2026, because
# on a newer one a person must enable reverse syncs before the comparison finds no difference.
console() {
  jitsu-backup sandbox --port "$1" --console 2026-07 --no-rate-limit "${@:2}" > "console-$1.txt" &
  until [ -s "console-$1.txt" ]; do
    kill -0 $! 2> /dev/null || { echo "the console on port $1 did not start" >&2; exit 1; }
    sleep 0.1
  done
}

say "A console with $workspaces workspaces"
lost=http://127.0.0.1:$first_port
console "$first_port" --example
lost_process=$!
export JITSU_HOST=$lost
post() { curl -sf -X POST -H "$auth" -H "$json" -d "$2" "$lost/api/$1"; }
for ((number = 3; number <= workspaces; number++)); do
  post workspace "{\"name\": \"Game day $number\", \"slug\": \"gameday-$number\"}" > made.json
  id=$(sed 's/.*"id": *"\([^"]*\)".*/\1/' made.json)
  for entity in 1 2 3 4 5; do
    body="{\"id\": \"fn-$number-$entity\", \"name\": \"Function $entity\", \"code\": \"export default async e => e\"}"
    post "$id/config/function" "$body" > /dev/null
  done
done

say "Backed up by its operator"
jitsu-backup backup --all --admin-token "$token" --plaintext-secrets --new-store

say "The night before: would it come back?"
jitsu-backup drill

say "The console is lost"
kill "$lost_process"
wait "$lost_process" 2> /dev/null || true
began=$SECONDS

say "An empty one is up: the plan, then the recovery"
console $((first_port + 1))
export JITSU_HOST=http://127.0.0.1:$((first_port + 1)) JITSU_ADMIN_TOKEN=$token
jitsu-backup recover --dry-run
jitsu-backup recover --yes
took=$((SECONDS - began))

say "Each workspace against its archive"
slugs=$(jitsu-backup --json drill | sed -n 's/^ *"workspace": "\(.*\)",$/\1/p' | sort -u)
for slug in $slugs; do
  jitsu-backup diff --exit-code "$slug/latest" "live:$slug"
done

say "Recovered and compared: $(wc -w <<< "$slugs") workspaces, back ${took} s after the loss"
