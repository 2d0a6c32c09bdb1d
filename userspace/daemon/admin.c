/* SPDX-License-Identifier: MIT */
#include "daemon/admin.h"

int admin_apply(struct weir_daemon *daemon, const struct weir_config_admin *conf,
		struct weir_error *error)
{
	(void)daemon;
	(void)conf;
	(void)error;
	return 0;
}

void admin_stop(struct weir_daemon *daemon)
{
	(void)daemon;
}
