/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_API_H
#define WEIRCTL_API_H

/*
 * Questions to the daemon and what its answers mean to a person.
 */

#include "tools/weirctl/table.h"
#include "tools/weirctl/weirctl.h"

/* Asks and reads the JSON of a good answer into *ANSWER (may be NULL: not wanted; else
 * json_decref() it). Otherwise prints a sentence to stderr and returns the exit status.
 * With --json a wanted answer is also printed as it came. */
int api_ask(const struct ctl *ctl, const char *method, const char *target, json_t **answer);

/* The same for text that is no JSON: prints it. */
int api_print(const struct ctl *ctl, const char *target);

/* As api_ask() but says nothing when the daemon cannot be reached: a sentence in WHY (of SIZE)
 * instead. For those that have another source or try again. */
int api_try(const struct ctl *ctl, const char *target, json_t **answer, char *why, size_t size);

/* What to do when nobody answers, to stderr. */
void api_print_advice(const struct ctl *ctl);

/* Fills TARGET (of SIZE) from FORMAT, in which each %s is escaped as a part of a path. */
char *api_target(char *target, size_t size, const char *format, const char *first,
		 const char *second);

/* Members of an object; "" and 0 when they are missing or of another type. */
const char *api_string(const json_t *object, const char *key);
uint64_t api_number(const json_t *object, const char *key);
/* Whether ANSWER is an array of objects; if not says so to stderr. */
bool api_is_list(const json_t *answer);

/* Cells from a member. A missing or empty string is "-". */
void api_add_string(struct table *table, const json_t *object, const char *key, enum tone tone);
void api_add_number(struct table *table, const json_t *object, const char *key);
void api_add_bytes(struct table *table, const json_t *object, const char *key);
void api_add_duration(struct table *table, const json_t *object, const char *key, uint64_t unit_ms);
/* A number that is red when it is not 0. */
void api_add_failures(struct table *table, const json_t *object, const char *key);

/* Whether tables have colour here. */
bool ctl_has_color(const struct ctl *ctl);

/* Columns of the terminal on standard output; 0 when it is none: lines may have any length. */
unsigned ctl_width(void);

/* Prints the table for this terminal and frees it. Returns 0. */
int api_show(const struct ctl *ctl, struct table *table);

#endif
