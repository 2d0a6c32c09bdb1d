# SPDX-License-Identifier: MIT
# Completion of weir for fish.

complete -c weir -f
complete -c weir -n __fish_use_subcommand -a run -d "Carry connections as a configuration says"
complete -c weir -n __fish_use_subcommand -a check -d "Say what is wrong with a configuration"
complete -c weir -n __fish_use_subcommand -a schema -d "Print a JSON Schema of the configuration"
complete -c weir -n __fish_use_subcommand -a serve -d "Be a ready-made service"
complete -c weir -n __fish_use_subcommand -a send -d "Send an HTTP request"
complete -c weir -n __fish_use_subcommand -a demo -d "Show Weir at work, without a configuration"
complete -c weir -n __fish_use_subcommand -s V -l version -d "Print the version"
complete -c weir -s '?' -l help -d Explain
complete -c weir -n '__fish_seen_subcommand_from run check' -s c -l config -rF -d "The configuration"
complete -c weir -n '__fish_seen_subcommand_from run' -l no-keeper -d "One process, which nothing outlives"
complete -c weir -n '__fish_seen_subcommand_from run' -l restarts -x -d "Of a daemon that dies, in a row"
complete -c weir -n '__fish_seen_subcommand_from run' -l backoff -x -d "Longest time to the next start, in ms"
complete -c weir -n '__fish_seen_subcommand_from check' -s q -l quiet -d "Say nothing when all is well"
complete -c weir -n '__fish_seen_subcommand_from check' -F
complete -c weir -n '__fish_seen_subcommand_from serve' -a 'echo discard http fs'
complete -c weir -n '__fish_seen_subcommand_from serve' -s l -l list -d "fs: pages of folders"
complete -c weir -n '__fish_seen_subcommand_from serve' -s v -l verbose -d "http, fs: an access log"
complete -c weir -n '__fish_seen_subcommand_from fs' -a '(__fish_complete_directories)'
complete -c weir -n '__fish_seen_subcommand_from send' -s X -l request -xa 'GET HEAD POST PUT DELETE OPTIONS PATCH' -d "The method"
complete -c weir -n '__fish_seen_subcommand_from send' -s H -l header -x -d "A header field"
complete -c weir -n '__fish_seen_subcommand_from send' -s d -l data -x -d "The body"
complete -c weir -n '__fish_seen_subcommand_from send' -s o -l output -rF -d "Write the body to a file"
complete -c weir -n '__fish_seen_subcommand_from send' -s i -l include -d "The head too"
complete -c weir -n '__fish_seen_subcommand_from send' -s v -l verbose -d "Say what goes and comes"
complete -c weir -n '__fish_seen_subcommand_from send' -s L -l location -d "Follow redirections"
complete -c weir -n '__fish_seen_subcommand_from send' -s k -l insecure -d "Take any certificate"
complete -c weir -n '__fish_seen_subcommand_from send' -l cacert -rF -d "Whom to trust"
complete -c weir -n '__fish_seen_subcommand_from send' -s E -l cert -rF -d "Certificate to show"
complete -c weir -n '__fish_seen_subcommand_from send' -l key -rF -d "Its key"
complete -c weir -n '__fish_seen_subcommand_from send' -s x -l proxy -x -d "Through a proxy"
