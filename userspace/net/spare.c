/* SPDX-License-Identifier: MIT */

#include "net/spare.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLENTY 1024 /* a lower limit is always scarce */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_scarce;
static atomic_int scarce_from = INT_MAX; /* this number and higher ones */

void spare_measure(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	/* What is accepted before has three quarters to find its second one in. */
	atomic_store(&scarce_from, (int)WEIR_MIN(limit.rlim_cur / 4, (rlim_t)INT_MAX));
	if (limit.rlim_cur < PLENTY)
		atomic_store(&is_scarce, true);
}

void spare_note(int fd)
{
	if (fd == -EMFILE || fd >= atomic_load_explicit(&scarce_from, memory_order_relaxed))
		atomic_store(&is_scarce, true);
}

bool spare_lock(void)
{
	if (!atomic_load_explicit(&is_scarce, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&lock);
	return true;
}

void spare_unlock(bool scarce)
{
	if (scarce)
		pthread_mutex_unlock(&lock);
}

int spare_take(unsigned *spare)
{
	int fd;

	if (*spare != 0)
		return 0;
	fd = eventfd(0, EFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	*spare = (unsigned)fd + 1;
	return 0;
}

bool spare_give(unsigned *spare)
{
	if (*spare == 0)
		return false;
	close((int)(*spare - 1));
	*spare = 0;
	return true;
}
