/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DEMO_PIN_H
#define WEIR_DEMO_PIN_H

#include <stdbool.h>

/* A folder for the demo's pinned maps: in the machine's BPF file system, or in one of the demo's
 * own where there is none. */
struct demo_pin {
	char mount[64];	 /* "": it is not ours */
	char folder[80]; /* "": maps cannot be pinned, for lack of rights as a rule */
};

void demo_pin_open(struct demo_pin *pin);
void demo_pin_close(struct demo_pin *pin);

#endif
