/* SPDX-License-Identifier: MIT */
/*
 * Which path suits a flow. Pure: what is known goes in as a sample, the answer comes out, and
 * one table of cases tests it.
 *
 * A flow starts on copy. It looks like bulk after some full reads in a row one way, and stops
 * looking so after many small ones. It looks interactive after some messages that alternated
 * between the two directions. The kernel refuses a flow that outruns its receiver (it spills);
 * such a flow waits, longer each time, before it is tried again.
 */

#include <errno.h>
#include <string.h>

#include <weir/path.h>

static const struct weir_path_thresholds path_defaults = {
	.message_bytes = 16384,
	.messages = 8,
	.interactive_ms = 20,
	.bulk_reads = 4,
	.bulk_quiet_reads = 32,
	.spills = 3,
	.spill_ms = 1000,
	.penalty_ms = 500,
};

const char *weir_path_name(enum weir_path path)
{
	static const char *const names[] = {
		[WEIR_PATH_COPY] = "copy",
		[WEIR_PATH_SPLICE] = "splice",
		[WEIR_PATH_SOCKMAP] = "sockmap",
	};

	return path < WEIR_PATH_COUNT ? names[path] : "none";
}

int weir_path_parse(const char *name, enum weir_path *path)
{
	for (enum weir_path p = 0; p < WEIR_PATH_COUNT; p++) {
		if (!strcmp(name, weir_path_name(p))) {
			*path = p;
			return 0;
		}
	}
	return -EINVAL;
}

static void threshold_default(uint32_t *value, uint32_t otherwise)
{
	if (*value == 0)
		*value = otherwise;
}

void weir_path_thresholds_complete(struct weir_path_thresholds *t)
{
	threshold_default(&t->message_bytes, path_defaults.message_bytes);
	threshold_default(&t->messages, path_defaults.messages);
	threshold_default(&t->interactive_ms, path_defaults.interactive_ms);
	threshold_default(&t->bulk_reads, path_defaults.bulk_reads);
	threshold_default(&t->bulk_quiet_reads, path_defaults.bulk_quiet_reads);
	threshold_default(&t->spills, path_defaults.spills);
	threshold_default(&t->spill_ms, path_defaults.spill_ms);
	threshold_default(&t->penalty_ms, path_defaults.penalty_ms);
}

enum weir_path weir_path_best(unsigned allowed)
{
	if (allowed & WEIR_PATH_BIT(WEIR_PATH_SOCKMAP))
		return WEIR_PATH_SOCKMAP;
	if (allowed & WEIR_PATH_BIT(WEIR_PATH_SPLICE))
		return WEIR_PATH_SPLICE;
	return WEIR_PATH_COPY;
}

/* Bulk in either direction; once it is, both directions must be quiet for it to end. */
static bool sample_is_bulk(const struct weir_path_sample *s, const struct weir_path_thresholds *t)
{
	if (s->full_reads[0] >= t->bulk_reads || s->full_reads[1] >= t->bulk_reads)
		return true;
	if (s->now != WEIR_PATH_SPLICE)
		return false;
	return s->small_reads[0] + s->small_reads[1] < t->bulk_quiet_reads;
}

static enum weir_path path_decide_kernel(const struct weir_path_sample *s,
					 const struct weir_path_thresholds *t, const char **why)
{
	if (s->ended[0] || s->ended[1])
		*why = "one side has ended";
	else if (s->spills >= t->spills || s->penalty_ms > 0)
		*why = "the receiver was too slow for the kernel path";
	else if (s->age_ms < t->interactive_ms)
		*why = "the flow is new";
	else if (s->turns < t->messages)
		*why = "the flow does not look interactive";
	else
		return WEIR_PATH_SOCKMAP;
	return WEIR_PATH_COPY;
}

enum weir_path weir_path_decide(const struct weir_path_sample *s,
				const struct weir_path_thresholds *t, const char **why)
{
	bool splice = s->allowed & WEIR_PATH_BIT(WEIR_PATH_SPLICE);
	bool kernel = s->allowed & WEIR_PATH_BIT(WEIR_PATH_SOCKMAP);
	bool copy = s->allowed & WEIR_PATH_BIT(WEIR_PATH_COPY) || !splice;
	enum weir_path path = WEIR_PATH_COPY;

	*why = NULL;
	if (splice && sample_is_bulk(s, t)) {
		*why = "the flow looks like bulk";
		return WEIR_PATH_SPLICE;
	}
	if (kernel)
		path = path_decide_kernel(s, t, why);
	else if (splice)
		*why = "the flow does not look like bulk";
	if (path == WEIR_PATH_COPY && !copy)
		path = WEIR_PATH_SPLICE;
	return path;
}
