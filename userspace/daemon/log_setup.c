/* SPDX-License-Identifier: MIT */
/*
 * Where the log goes. A new place is opened before the old one is left, so that a reload with a
 * bad path loses no line.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/layer.h>
#include <weir/log_sink.h>

#include "daemon/process.h"

/* Of the control thread. */
static struct {
	struct weir_log_sink *sink;
	enum weir_config_log_to to;
	char *file;
} now;

static int sink_open(struct weir_log_sink **sink, const struct weir_config_log *conf)
{
	switch (conf->to) {
	case WEIR_CONFIG_LOG_FILE:
		return weir_log_sink_open_file(sink, conf->file);
	case WEIR_CONFIG_LOG_SYSLOG:
		return weir_log_sink_open_syslog(sink, NULL, "weir");
	case WEIR_CONFIG_LOG_JOURNALD:
		return weir_log_sink_open_journald(sink, NULL, "weir");
	default:
		return weir_log_sink_open_descriptor(sink, STDERR_FILENO);
	}
}

static const char *remedy(enum weir_config_log_to to)
{
	switch (to) {
	case WEIR_CONFIG_LOG_FILE:
		return "make the folder of log.file, and let Weir write there";
	case WEIR_CONFIG_LOG_SYSLOG:
		return "start a syslog daemon, or use log.to: stderr";
	case WEIR_CONFIG_LOG_JOURNALD:
		return "start systemd-journald, or use log.to: stderr";
	default:
		return "";
	}
}

static bool is_unchanged(const struct weir_config_log *conf)
{
	return now.sink != NULL && now.to == conf->to &&
	       (conf->file == NULL || (now.file != NULL && strcmp(now.file, conf->file) == 0));
}

static int move(const struct weir_config_log *conf, struct weir_error *error)
{
	struct weir_log_sink *sink;
	char *file = NULL;
	int status;

	if (conf->file != NULL) {
		file = strdup(conf->file);
		if (file == NULL)
			return weir_error_set(error, -ENOMEM, "out of memory");
	}
	status = sink_open(&sink, conf);
	if (status < 0) {
		free(file);
		weir_error_at(error, conf->place.file, conf->place.line);
		weir_error_remedy(error, "%s", remedy(conf->to));
		return weir_error_set(error, status, "cannot open the log: %s",
				      weir_strerror(status));
	}
	weir_log_sink_use(sink);
	weir_log_sink_close(now.sink);
	free(now.file);
	now.sink = sink;
	now.to = conf->to;
	now.file = file;
	return 0;
}

int log_setup(const struct weir_config_log *conf, struct weir_error *error)
{
	int status = is_unchanged(conf) ? 0 : move(conf, error);

	if (status < 0)
		return status;
	weir_log_set_level(conf->level);
	weir_log_set_format(conf->format);
	return 0;
}

void log_reopen(void)
{
	int status = now.sink == NULL ? 0 : weir_log_sink_reopen(now.sink);

	if (status < 0)
		weir_log(WEIR_LOG_ERROR, "log", "cannot be reopened", WEIR_LOG_STATUS(status));
	weir_access_log_reopen();
}

void log_end(void)
{
	weir_log_sink_use(NULL);
	weir_log_sink_close(now.sink);
	free(now.file);
	now.sink = NULL;
	now.file = NULL;
}
