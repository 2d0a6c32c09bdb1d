# SPDX-License-Identifier: MIT
# Completion of weirctl for bash. Names and numbers come from the running daemon.

# The daemon's answer as JSON.
_weirctl_ask()
{
	_weirctl_ask_table --json "$@"
}

# The daemon's answer, with what the command line says about where it is.
_weirctl_ask_table()
{
	local -a where=()
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket) where=(-s "${COMP_WORDS[i + 1]}") ;;
		-s?*) where=(-s "${COMP_WORDS[i]#-s}") ;;
		esac
	done
	timeout 1 weirctl "${where[@]}" "$@" 2>/dev/null
}

# The values of a member ("name", "id") of the daemon's answer, one a line.
_weirctl_values()
{
	local key=$1
	shift
	_weirctl_ask "$@" | grep -oE "\"$key\": ?(\"[^\"]*\"|[0-9]+)" |
		sed -E 's/^[^:]*: ?//; s/"//g' | sort -u
}

# The rows of the table of endpoints, through awk: upstream in $1, endpoint in $3.
_weirctl_endpoints()
{
	_weirctl_ask_table upstreams | awk -v name="$2" "$1" | sort -u
}

# Offers words; with colons in them bash completes behind the last one.
_weirctl_offer()
{
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$1" -- "$cur"))
	if [[ $cur == *:* ]] && declare -F __ltrim_colon_completions >/dev/null; then
		__ltrim_colon_completions "$cur"
	fi
}

_weirctl()
{
	local cur prev words cword
	local commands=$'status\nlisteners\nupstreams\nflows\ntasks\nkernel\nmaps\nmetrics\nflow\nupstream\nlog\nreload\ndrain\nupgrade'
	local common=$'--socket\n--json\n--no-color\n--pin\n--help\n--usage\n--version'
	local command= i
	local -a arguments=()

	COMPREPLY=()
	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n := cur prev words cword
	else
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi

	case $prev in
	-s | --socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	--pin) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	-l | --listener) _weirctl_offer "$(_weirctl_values name listeners)"; return ;;
	-d | --deadline) _weirctl_offer $'10s\n30s\n5m'; return ;;
	esac

	for ((i = 1; i < cword; i++)); do
		case ${words[i]} in
		-s | --socket | --pin | -l | --listener | -d | --deadline) ((i++)) ;;
		-*) ;;
		*) if [[ $command ]]; then arguments+=("${words[i]}"); else command=${words[i]}; fi ;;
		esac
	done

	if [[ $cur == --listener=* ]]; then
		cur=${cur#*=}
		_weirctl_offer "$(_weirctl_values name listeners)"
		return
	fi
	if [[ $cur == -* ]]; then
		case $command in
		flows) common+=$'\n--listener\n--watch' ;;
		tasks) common+=$'\n--stacks' ;;
		drain) common+=$'\n--deadline' ;;
		esac
		_weirctl_offer "$common"
		return
	fi
	case $command:${#arguments[@]} in
	:0) _weirctl_offer "$commands" ;;
	log:0) _weirctl_offer $'error\nwarn\ninfo\ndebug' ;;
	flow:0) _weirctl_offer "$(_weirctl_values id flows)" ;;
	flow:1) _weirctl_offer $'close\npath' ;;
	flow:2) [[ ${arguments[1]} == path ]] && _weirctl_offer $'copy\nsplice\nsockmap\nauto' ;;
	upstream:0) _weirctl_offer "$(_weirctl_endpoints 'NR > 1 { print $1 }')" ;;
	upstream:1) _weirctl_offer $'drain\nresume' ;;
	upstream:2) _weirctl_offer "$(_weirctl_endpoints 'NR > 1 && $1 == name { print $3 }' \
		"${arguments[0]}")" ;;
	esac
}

complete -F _weirctl weirctl
