/* SPDX-License-Identifier: MIT */

#include "tests/bpf/scenario.h"

#define COPY	 WEIR_PATH_BIT(WEIR_PATH_COPY)
#define SPLICE	 WEIR_PATH_BIT(WEIR_PATH_SPLICE)
#define SOCKMAP	 WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)
#define ANY_PATH (COPY | SPLICE | SOCKMAP)

const struct scenario_path scenario_paths[SCENARIO_PATHS] = {
	{ .name = "copy", .paths = COPY },
	{ .name = "splice", .paths = SPLICE },
	{ .name = "sockmap", .paths = SOCKMAP },
	{ .name = "adaptive", .paths = ANY_PATH, .adaptive = true, .talk = true },
	{ .name = "flipped", .paths = ANY_PATH, .adaptive = true, .talk = true, .flips = true },
};
