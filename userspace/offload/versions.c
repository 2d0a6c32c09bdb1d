/* SPDX-License-Identifier: MIT */
/*
 * Known bugs of the kernel's sockmap, by release. Information only: distributions carry fixes
 * under old numbers, so nothing is decided by this table; the self-tests decide.
 */

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "offload/kernel.h"

struct release {
	unsigned major, minor, patch;
};

/* Fixed in these releases and in everything after the last one. */
struct known_bug {
	const char *name;
	const char *effect;
	const char *concern; /* what it means for this program */
	struct release fixed[8];
};

static const struct known_bug bugs[] = {
	{ "sockmap batch of 2023 (6df7f76, e5c6de5, 9b7177b)",
	  "lost FIN, stalls",
	  "the self-tests cover it",
	  { { 6, 4, 0 } } },
	{ "CVE-2025-38154",
	  "use after free in the backlog worker",
	  "update the kernel",
	  { { 6, 1, 142 }, { 6, 6, 94 }, { 6, 12, 34 }, { 6, 15, 3 } } },
	{ "CVE-2026-68284",
	  "use after free with cork",
	  "no sk_msg program here",
	  { { 6, 1, 183 }, { 6, 6, 148 }, { 6, 12, 101 }, { 6, 18, 42 }, { 7, 1, 6 } } },
	{ "CVE-2026-74589",
	  "use after free with apply_bytes",
	  "no sk_msg program here",
	  { { 6, 1, 183 }, { 6, 6, 152 }, { 6, 12, 104 }, { 6, 18, 45 }, { 7, 1, 9 } } },
	{ "CVE-2026-64025",
	  "use after free when TLS follows sockmap",
	  "never both on one socket here",
	  { { 6, 6, 142 }, { 6, 12, 92 }, { 6, 18, 34 } } },
};

static int release_compare(const struct release *a, const struct release *b)
{
	if (a->major != b->major)
		return a->major < b->major ? -1 : 1;
	if (a->minor != b->minor)
		return a->minor < b->minor ? -1 : 1;
	if (a->patch != b->patch)
		return a->patch < b->patch ? -1 : 1;
	return 0;
}

/* Fixed in its own series, or newer than the last series that needed a fix. */
static bool bug_is_fixed(const struct known_bug *bug, const struct release *running)
{
	const struct release *last = NULL;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bug->fixed) && bug->fixed[i].major; i++) {
		last = &bug->fixed[i];
		if (last->major == running->major && last->minor == running->minor)
			return running->patch >= last->patch;
	}
	return last && release_compare(running, last) > 0;
}

static bool release_parse(const char *text, struct release *release)
{
	*release = (struct release){ 0 };
	return sscanf(text, "%u.%u.%u", &release->major, &release->minor, &release->patch) >= 2;
}

/* Debian and Ubuntu number their own builds in the release and say elsewhere which upstream
 * release these stand on: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)", and
 * "Ubuntu 6.8.0-45.45-generic 6.8.12". */
static bool release_running(const struct utsname *name, struct release *release)
{
	const char *debian = strstr(name->version, "Debian ");
	char line[128] = "";
	FILE *file;

	if (debian && release_parse(debian + strlen("Debian "), release))
		return true;
	file = fopen("/proc/version_signature", "re");
	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	if (strrchr(line, ' ') && release_parse(strrchr(line, ' ') + 1, release))
		return true;
	return release_parse(name->release, release);
}

void versions_report(struct weir_kernel *kernel)
{
	struct release running;
	struct utsname name;

	if (uname(&name) || !release_running(&name, &running))
		return;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bugs); i++) {
		if (bug_is_fixed(&bugs[i], &running))
			continue;
		kernel_result(kernel, "release", WEIR_PROBE_INFO, NULL,
			      "%.32s may have %s: %s (%s)", name.release, bugs[i].name,
			      bugs[i].effect, bugs[i].concern);
	}
}
