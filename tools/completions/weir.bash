# SPDX-License-Identifier: MIT
# Completion of weir for bash.

_weir()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run check schema serve send demo --help --version" -- "$cur"))
		return
	fi
	case $prev in
	-X | --request) COMPREPLY=($(compgen -W "GET HEAD POST PUT DELETE OPTIONS PATCH" -- "$cur")); return ;;
	-o | --output | -E | --cert | --cacert | --key) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	-c | --config) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	esac
	case $command:$cur in
	run:-*) COMPREPLY=($(compgen -W "--config --no-keeper --restarts --backoff --help --usage" -- "$cur")) ;;
	check:-*) COMPREPLY=($(compgen -W "--config --quiet --help --usage" -- "$cur")) ;;
	serve:-*) COMPREPLY=($(compgen -W "--list --verbose --help --usage" -- "$cur")) ;;
	send:-*) COMPREPLY=($(compgen -W "--request --header --data --output --include --verbose
		--location --insecure --cacert --cert --key --proxy --help --usage" -- "$cur")) ;;
	*:-*) COMPREPLY=($(compgen -W "--help --usage" -- "$cur")) ;;
	check:*) COMPREPLY=($(compgen -f -- "$cur")) ;;
	serve:*)
		if ((COMP_CWORD == 2)); then
			COMPREPLY=($(compgen -W "echo discard http fs" -- "$cur"))
		elif [[ ${COMP_WORDS[2]} == fs ]]; then
			COMPREPLY=($(compgen -d -- "$cur"))
		fi
		;;
	esac
}

complete -o filenames -F _weir weir
