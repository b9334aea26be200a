#!/usr/bin/env bash
# Moves money between two accounts exactly once, whichever request or answer gets lost. Needs curl and jq.
#   transfer.sh URL FROM TO AMOUNT      exit code 0: applied, 1: not applied and never will be, 2: unknown
set -euo pipefail
url=$1 from=$2 to=$3 amount=$4
attempts=12 first_wait=100 longest_wait=10000 # milliseconds

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
say() { echo "$2"; exit "$1"; }
header() { tr -d '\r' <"$dir/head" | awk -v name="$1:" 'tolower($1) == name { print $2 }'; }
body() { jq -r "$@" "$dir/body"; }

# Sends a request, unchanged, until the API itself has decided it. Leaves $status, $dir/head and $dir/body.
#   send METHOD PATH [options of curl…]
send() {
  local attempt wait seconds
  for ((attempt = 0; attempt < attempts; attempt++)); do
    : >"$dir/head" >"$dir/body"
    # No answer, or not a whole one: 000. The request may have arrived, or not.
    status=$(curl -sS --max-time 60 -X "$1" "$url$2" -D "$dir/head" -o "$dir/body" -w '%{http_code}' "${@:3}") || status=000
    case $status in
      000 | 408 | 425 | 429 | 5??) ;;
      2??) if body empty 2>/dev/null; then return; fi ;;
      # An error that is no problem of the API comes from something in between, and says nothing.
      *) if [[ $(body .type 2>/dev/null) == /problems/* ]]; then return; fi ;;
    esac
    wait=$((first_wait << attempt))
    wait=$(((RANDOM * 32768 + RANDOM) % ((wait < longest_wait ? wait : longest_wait) + 1))) # full jitter: clients spread out
    seconds=$(header retry-after)
    [[ $seconds =~ ^[0-9]+$ ]] && wait=$((wait + seconds * 1000))
    sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
  done
  say 2 "unknown: no answer to $1 $url$2"
}

send POST /transactions
transaction=$(header location) tag=$(header etag)
reason= # to give up
while true; do
  if [ -z "$reason" ]; then # read, and decide
    send GET /resources -G --data-urlencode "key=accounts/$from" --data-urlencode "key=accounts/$to"
    # The changes, each with exactly the state that was decided on; or, as a string, why there are none.
    changes=$(body --arg from "$from" --arg to "$to" --argjson amount "$amount" '
      def change(by): {method: "PATCH", target: .href, if_match: .etag, body: {balance: (.body.balance + by)}};
      [.items[]? | select(.key == $from)][0] as $source | [.items[]? | select(.key == $to)][0] as $target
      | if ($source and $target) | not then .detail // "no such account"
        elif $amount <= 0 or $amount > $source.body.balance then "not enough money"
        else {changes: [($source | change(-$amount)), ($target | change($amount))]} end')
    [[ $changes == {* ]] || reason=$changes
  fi
  if [ -n "$reason" ]; then
    send DELETE "$transaction" -H 'If-Match: *'
  else
    send PUT "$transaction" -H "If-Match: $tag" -H 'Content-Type: application/json' -d "$changes"
  fi

  type=$(body '.type // ""')
  # Somebody was faster, and nothing has happened: again, in the same transaction.
  [ "$type" = /problems/stale-resource ] && continue
  # Where the transaction was used before, by a request whose answer got lost, the problem shows it as `current`.
  [ "$(body '(.current // .).state // ""')" = committed ] && say 0 "applied $transaction"
  case $status$type in
    204 | 410/problems/transaction-cancelled | 410/problems/transaction-expired)
      say 1 "not applied $transaction: ${reason:-$type}" ;;
    410*) say 2 "unknown: $transaction: $(body .detail)" ;;
  esac
  [ -n "$reason" ] && say 2 "unknown: $transaction: $(body .detail)"
  reason=$(body '"\(.detail) \(.errors // "")"') # the request needs mending: give it up
done
