/* SPDX-License-Identifier: MIT */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

/*
 * The few macros of the project. None of them hides control flow.
 */

#include <stddef.h>
#include <stdint.h>

/* Set in a build for that sanitizer, whichever compiler it is. */
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define WEIR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_TSAN 1
#endif
#endif

#ifdef __cplusplus
#error "Weir's headers are C"
#endif

/* The object of TYPE whose MEMBER lies at PTR. */
#define weir_container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define WEIR_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* The caller must look at the result. */
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))

/* The arguments from FIRST on are checked against the printf format at FMT. */
#define WEIR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define WEIR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define WEIR_MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
