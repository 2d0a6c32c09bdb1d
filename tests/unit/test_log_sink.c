/* SPDX-License-Identifier: MIT */

/* Each place that lines go to, with the receiver's end held by the test. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/log_sink.h>

static char folder[64];
static char path[96];

static int folder_new(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/weir-log-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/place", folder);
	return 0;
}

static int folder_free(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static size_t file_read(const char *name, char *text, size_t size)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, text, size - 1);
	assert_true(n >= 0);
	text[n] = '\0';
	close(fd);
	return (size_t)n;
}

static int receiver_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static size_t receiver_read(int fd, char *data, size_t size)
{
	ssize_t n = recv(fd, data, size - 1, 0);

	assert_true(n > 0);
	data[n] = '\0';
	return (size_t)n;
}

static void test_descriptor_takes_lines_and_counts_what_it_drops(void **state)
{
	struct weir_log_sink *sink;
	char text[256];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(weir_log_sink_open_descriptor(&sink, ends[1]), 0);
	weir_log_sink_use(sink);
	weir_log(WEIR_LOG_INFO, "o", "hello", WEIR_LOG_INT("n", 1));
	assert_true(read(ends[0], text, sizeof(text)) > 0);
	assert_non_null(strstr(text, " info  o: hello n=1\n"));
	assert_int_equal(weir_log_sink_dropped(sink), 0);

	/* Nobody reads: the pipe fills and the log goes on. */
	for (int i = 0; i < 3000; i++)
		weir_log(WEIR_LOG_INFO, "o", "a line that takes some room in the pipe");
	assert_true(weir_log_sink_dropped(sink) > 0);
	assert_int_equal(weir_log_sink_reopen(sink), 0);
	weir_log_sink_use(NULL);
	weir_log_sink_close(sink);
	/* The descriptor was borrowed. */
	assert_int_equal(close(ends[1]), 0);
	close(ends[0]);
}

static void test_file_is_appended_to_and_reopened(void **state)
{
	struct weir_log_sink *sink;
	struct stat meta;
	char text[512], moved[128];

	(void)state;
	assert_int_equal(weir_log_sink_open_file(&sink, "/nonexistent/weir.log"), -ENOENT);
	assert_null(sink);
	assert_int_equal(weir_log_sink_open_file(&sink, path), 0);
	weir_log_sink_use(sink);
	weir_log(WEIR_LOG_INFO, "o", "one");
	assert_int_equal(stat(path, &meta), 0);
	assert_int_equal(meta.st_mode & 0007, 0);

	snprintf(moved, sizeof(moved), "%s/moved", folder);
	assert_int_equal(rename(path, moved), 0);
	weir_log(WEIR_LOG_INFO, "o", "two");
	assert_int_equal(weir_log_sink_reopen(sink), 0);
	weir_log(WEIR_LOG_INFO, "o", "three");
	file_read(moved, text, sizeof(text));
	assert_non_null(strstr(text, "o: one\n"));
	assert_non_null(strstr(text, "o: two\n"));
	assert_null(strstr(text, "three"));
	file_read(path, text, sizeof(text));
	assert_null(strstr(text, "two"));
	assert_non_null(strstr(text, "o: three\n"));
	unlink(moved);

	/* A reopen that fails keeps the file that is open. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(weir_log_sink_reopen(sink), -EISDIR);
	weir_log(WEIR_LOG_INFO, "o", "four");
	assert_int_equal(weir_log_sink_dropped(sink), 0);
	rmdir(path);
	weir_log_sink_use(NULL);
	weir_log_sink_close(sink);
}

static void test_full_disk_is_survived(void **state)
{
	struct weir_log_sink *sink;

	(void)state;
	assert_int_equal(weir_log_sink_open_file(&sink, "/dev/full"), 0);
	weir_log_sink_use(sink);
	weir_log(WEIR_LOG_ERROR, "o", "lost");
	weir_log_sink_use(NULL);
	assert_int_equal(weir_log_sink_dropped(sink), 1);
	weir_log_sink_close(sink);
}

static void test_syslog_datagrams(void **state)
{
	struct weir_log_sink *sink;
	char data[1024], expected[64], longer[200];
	int receiver;

	(void)state;
	assert_int_equal(weir_log_sink_open_syslog(&sink, path, "weir"), -ENOENT);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(weir_log_sink_open_syslog(&sink, longer, "weir"), -ENAMETOOLONG);
	receiver = receiver_open();
	assert_int_equal(weir_log_sink_open_syslog(&sink, path, "weir"), 0);
	weir_log_sink_use(sink);
	weir_log(WEIR_LOG_WARN, "listener db", "refused", WEIR_LOG_STR("why", "too many\nlines"));
	receiver_read(receiver, data, sizeof(data));
	assert_memory_equal(data, "<28>", 4);
	assert_int_equal(data[4 + 3], ' ');
	assert_int_equal(data[4 + 6], ' ');
	snprintf(expected, sizeof(expected), " weir[%ld]: listener db: refused ", (long)getpid());
	assert_non_null(strstr(data, expected));
	assert_non_null(strstr(data, "why=\"too many\\nlines\""));
	assert_null(strchr(data, '\n'));

	weir_log_set_format(WEIR_LOG_JSON);
	weir_log(WEIR_LOG_ERROR, "o", "as json");
	weir_log_set_format(WEIR_LOG_TEXT);
	receiver_read(receiver, data, sizeof(data));
	assert_memory_equal(data, "<27>", 4);
	assert_non_null(strstr(data, "\"message\":\"as json\"}"));

	/* Gone, then back at the same path. */
	close(receiver);
	unlink(path);
	weir_log(WEIR_LOG_INFO, "o", "lost");
	assert_int_equal(weir_log_sink_dropped(sink), 1);
	receiver = receiver_open();
	weir_log(WEIR_LOG_INFO, "o", "found");
	receiver_read(receiver, data, sizeof(data));
	assert_non_null(strstr(data, "o: found"));

	/* A receiver that does not read costs lines, not time. */
	for (int i = 0; i < 2000; i++)
		weir_log(WEIR_LOG_INFO, "o", "flood");
	assert_true(weir_log_sink_dropped(sink) > 1);
	weir_log_sink_use(NULL);
	weir_log_sink_close(sink);
	close(receiver);
}

/* The value of a field in a datagram of length-form fields; its size in *SIZE. */
static const char *journal_find(const char *data, size_t total, const char *name, size_t *size)
{
	const char *end = data + total;

	while (data < end) {
		const char *stop = memchr(data, '\n', (size_t)(end - data));
		uint64_t length = 0;

		assert_non_null(stop);
		for (int i = 7; i >= 0; i--)
			length = length << 8 | (unsigned char)stop[1 + i];
		assert_true(stop + 9 + length < end);
		assert_int_equal(stop[9 + length], '\n');
		if (strlen(name) == (size_t)(stop - data) &&
		    memcmp(name, data, strlen(name)) == 0) {
			*size = length;
			return stop + 9;
		}
		data = stop + 9 + length + 1;
	}
	return NULL;
}

static void assert_journal_field(const char *data, size_t total, const char *name,
				 const char *expected)
{
	size_t size;
	const char *value = journal_find(data, total, name, &size);

	assert_non_null(value);
	assert_int_equal(size, strlen(expected));
	assert_memory_equal(value, expected, size);
}

static void test_journald_fields(void **state)
{
	struct weir_log_sink *sink;
	char data[4096];
	size_t total, size;
	int receiver;

	(void)state;
	receiver = receiver_open();
	assert_int_equal(weir_log_sink_open_journald(&sink, path, "weir"), 0);
	weir_log_sink_use(sink);
	weir_log(WEIR_LOG_INFO, "conn 7", "closed", WEIR_LOG_STR("end-reason", "a\nMESSAGE=b"),
		 WEIR_LOG_UINT("bytes_up", 12), WEIR_LOG_BOOL("ok", true),
		 WEIR_LOG_STR("absent", NULL), WEIR_LOG_DOUBLE("d", 0.5), WEIR_LOG_INT("i", -3));
	total = receiver_read(receiver, data, sizeof(data));
	assert_journal_field(data, total, "MESSAGE",
			     "conn 7: closed end-reason=\"a\\nMESSAGE=b\" bytes_up=12 ok=true "
			     "d=0.5 i=-3");
	assert_journal_field(data, total, "PRIORITY", "6");
	assert_journal_field(data, total, "SYSLOG_IDENTIFIER", "weir");
	assert_journal_field(data, total, "WEIR_OBJECT", "conn 7");
	assert_journal_field(data, total, "WEIR_END_REASON", "a\nMESSAGE=b");
	assert_journal_field(data, total, "WEIR_BYTES_UP", "12");
	assert_journal_field(data, total, "WEIR_OK", "true");
	assert_journal_field(data, total, "WEIR_D", "0.5");
	assert_journal_field(data, total, "WEIR_I", "-3");
	assert_null(journal_find(data, total, "WEIR_ABSENT", &size));
	weir_log_sink_use(NULL);
	weir_log_sink_close(sink);
	close(receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptor_takes_lines_and_counts_what_it_drops),
		cmocka_unit_test_setup_teardown(test_file_is_appended_to_and_reopened, folder_new,
						folder_free),
		cmocka_unit_test(test_full_disk_is_survived),
		cmocka_unit_test_setup_teardown(test_syslog_datagrams, folder_new, folder_free),
		cmocka_unit_test_setup_teardown(test_journald_fields, folder_new, folder_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
