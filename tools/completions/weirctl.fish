# SPDX-License-Identifier: MIT
# Completion of weirctl for fish. Names and numbers come from the running daemon.

set -g __weirctl_commands status listeners upstreams flows tasks kernel maps metrics flow upstream \
	log reload drain upgrade

# The socket that the command line says.
function __weirctl_where
	set -l words (commandline -opc)
	for i in (seq 2 (count $words))
		switch $words[$i]
			case -s --socket
				set -q words[(math $i + 1)]; and printf '%s\n' -s $words[(math $i + 1)]
			case '--socket=*'
				printf '%s\n' -s (string replace -- '--socket=' '' $words[$i])
		end
	end
end

# The values of a member ("name", "id") of the daemon's answer.
function __weirctl_values
	timeout 1 weirctl (__weirctl_where) --json $argv[2..-1] 2>/dev/null |
		string match -arg "\"$argv[1]\": ?\"?([^\",}]*)" | sort -u
end

# The rows of the table of endpoints: upstream, endpoint.
function __weirctl_endpoints
	timeout 1 weirctl (__weirctl_where) upstreams 2>/dev/null | awk 'NR > 1 { print $1, $3 }' | sort -u
end

function __weirctl_upstreams
	__weirctl_endpoints | string replace -r ' .*' '' | sort -u
end

# The endpoints of the upstream that the command line names.
function __weirctl_endpoints_here
	set -l words (__weirctl_words)
	__weirctl_endpoints | awk -v name=$words[2] '$1 == name { print $2 }'
end

# What stands behind the options: the command and its arguments.
function __weirctl_words
	set -l words (commandline -opc)
	set -l skip 1
	for word in $words
		if test $skip = 1
			set skip 0
			continue
		end
		switch $word
			case -s --socket --pin -l --listener -d --deadline
				set skip 1
			case '-*'
			case '*'
				echo $word
		end
	end
end

# Whether the words so far are COMMAND and N arguments.
function __weirctl_at
	set -l words (__weirctl_words)
	test (count $words) -eq (math $argv[2] + 1); and test "$words[1]" = $argv[1]
end

function __weirctl_uses
	set -l words (__weirctl_words)
	test "$words[1]" = $argv[1]
end

complete -c weirctl -f
complete -c weirctl -s j -l json -d "Print the daemon's answer as it is"
complete -c weirctl -s s -l socket -rF -d "Admin socket"
complete -c weirctl -l no-color -d "No colour on terminals"
complete -c weirctl -l pin -xa "(__fish_complete_directories)" -d "Where the kernel's maps are pinned"
complete -c weirctl -s '?' -l help -d "Explain"
complete -c weirctl -l usage -d "Short reminder"
complete -c weirctl -s V -l version -d "Print the version"

complete -c weirctl -n 'test -z (__weirctl_words | string collect)' -a "$__weirctl_commands"
complete -c weirctl -n '__weirctl_uses flows' -s l -l listener -xa '(__weirctl_values name listeners)' \
	-d "Only of this listener"
complete -c weirctl -n '__weirctl_uses flows' -s w -l watch -d "Draw again and again"
complete -c weirctl -n '__weirctl_uses tasks' -s k -l stacks -d "Also use of stacks"
complete -c weirctl -n '__weirctl_uses drain' -s d -l deadline -xa '10s 30s 5m' -d "Cut off after so long"
complete -c weirctl -n '__weirctl_at log 0' -a 'error warn info debug'
complete -c weirctl -n '__weirctl_at flow 0' -a '(__weirctl_values id flows)'
complete -c weirctl -n '__weirctl_at flow 1' -a 'close path'
complete -c weirctl -n '__weirctl_at flow 2' -a 'copy splice sockmap auto'
complete -c weirctl -n '__weirctl_at upstream 0' -a '(__weirctl_upstreams)'
complete -c weirctl -n '__weirctl_at upstream 1' -a 'drain resume'
complete -c weirctl -n '__weirctl_at upstream 2' -a '(__weirctl_endpoints_here)'
