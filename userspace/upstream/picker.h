/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_PICKER_H
#define WEIR_UPSTREAM_PICKER_H

/*
 * A picker chooses one of the endpoints of a tier. It belongs to one worker and decides on a
 * picture of the tier that its owner keeps: weights, and how far each endpoint has come in its
 * slow start. The only thing it reads of others is how many connections an endpoint has.
 * It does no I/O, takes no lock, and with the same picture, key and random state it gives the
 * same answer.
 */

#include <stdatomic.h>
#include <stdbool.h>

#include <weir/upstream.h>

#include "upstream/table.h"

/* Heavier ones count as this: products of a weight, a percentage and a count must fit. */
#define WEIR_PICKER_WEIGHT_MAX 1000000

struct weir_picker_entry {
	uint32_t weight;		/* 0: may not be used */
	uint32_t ramp_percent;		/* 1 ... 100: of the weight, during slow start */
	uint64_t identity;		/* as in its table */
	const _Atomic uint64_t *active; /* connections now */
	int64_t current;		/* private: of round robin */
	uint64_t skipped;		/* private: in which round */
};

struct weir_picker {
	enum weir_balance balance;
	struct weir_picker_entry *entries; /* borrowed, as everything here */
	uint64_t *ends;			   /* room for N: running sums of the shares */
	size_t n;
	const struct weir_ring *ring;	  /* with ring hash */
	const struct weir_maglev *maglev; /* with maglev */
	size_t usable;			  /* entries with a weight; by weir_picker_refresh() */
	size_t open;	/* usable ones that are not skipped; since weir_picker_begin() */
	uint64_t round; /* private */
	size_t turn;	/* private: of round robin among equals */
	bool is_even;	/* private: all usable shares are the same */
};

/* To be called after weights or ramps have changed. Round robin goes on where it was. */
void weir_picker_refresh(struct weir_picker *picker);

/* Starts a choice: nothing is skipped. */
void weir_picker_begin(struct weir_picker *picker);
/* Not this one, until the next weir_picker_begin(). */
void weir_picker_skip(struct weir_picker *picker, size_t index);
bool weir_picker_is_open(const struct weir_picker *picker, size_t index);

/* Index of the choice, -1 when no entry is open. KEY is the hash of the client's address; RANDOM
 * the state of the worker's random numbers. */
int weir_picker_pick(struct weir_picker *picker, uint64_t key, uint64_t *random);

#endif
