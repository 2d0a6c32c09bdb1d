/* SPDX-License-Identifier: MIT */

#include "layer/http_password.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/sync.h>

#include "layer/http_answer.h"

#define WRONG_NS 1000000000ull

/* One hash under way, on the stack of the task that began it. */
struct check {
	struct weir_list link; /* in running */
	struct http_digest digest;
	struct weir_event done; /* others with the same password wait for it */
};

/* What the other thread works on. */
struct job {
	uv_work_t work;
	struct crypt_data data; /* 32 KiB */
	struct weir_task *task;
	const char *password, *hash; /* borrowed: the task waits */
	bool right, ended;
};

/* ---- what is known ---- */

int http_passwords_init(struct http_passwords *passwords, uint64_t cache_ms, uint32_t max_checks,
			struct weir_error *error)
{
	weir_list_init(&passwords->running);
	passwords->cache_ns = cache_ms * 1000000;
	passwords->max_checks = max_checks;
	passwords->slots = calloc(HTTP_PASSWORD_SLOTS, sizeof(*passwords->slots));
	if (!passwords->slots)
		return http_layer_memory(error);
	if (http_digest_key_init(&passwords->key))
		return weir_error_set(error, -EIO, "there are no random numbers");
	return 0;
}

void http_passwords_fini(struct http_passwords *passwords)
{
	free(passwords->slots);
}

static struct http_digest digest_of(const struct http_passwords *passwords, struct weir_text user,
				    struct weir_text password)
{
	/* They lie in a row, with the terminator of the user between them. */
	size_t size = (size_t)(password.data + password.size - user.data);

	return http_digest(&passwords->key, user.data, size);
}

static struct http_password_slot *slot_of(struct http_passwords *passwords,
					  const struct http_digest *digest)
{
	return &passwords->slots[digest->half[0] % HTTP_PASSWORD_SLOTS];
}

/* 1, 0, or -ENOENT when it is not known. */
static int recall(struct http_passwords *passwords, const struct http_digest *digest)
{
	const struct http_password_slot *slot = slot_of(passwords, digest);

	if (weir_loop_now(weir_loop_current()) >= slot->expires_ns ||
	    !http_digest_is_equal(&slot->digest, digest))
		return -ENOENT;
	return slot->right;
}

static void remember(struct http_passwords *passwords, const struct http_digest *digest, bool right)
{
	uint64_t lasts = right ? passwords->cache_ns : WRONG_NS;

	*slot_of(passwords, digest) = (struct http_password_slot){
		.digest = *digest,
		.expires_ns = weir_loop_now(weir_loop_current()) + lasts,
		.right = right,
	};
}

/* ---- hashing ---- */

/* Equal, in a time that depends on the length alone. */
static bool text_is_same(const char *a, const char *b)
{
	size_t size = strlen(a);
	unsigned char difference = 0;

	if (strlen(b) != size)
		return false;
	for (size_t i = 0; i < size; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

static void job_on_work(uv_work_t *work)
{
	struct job *job = weir_container_of(work, struct job, work);
	const char *made = crypt_r(job->password, job->hash, &job->data);

	job->right = made && text_is_same(made, job->hash);
}

static void job_on_end(uv_work_t *work, int status)
{
	struct job *job = weir_container_of(work, struct job, work);

	job->right = job->right && status == 0;
	job->ended = true;
	weir_task_wake(job->task);
}

/* The thread cannot be stopped, so the task waits for it in every case. */
static int job_run(const char *password, const char *hash)
{
	struct job *job = calloc(1, sizeof(*job));
	int status;

	if (!job)
		return -ENOMEM;
	job->task = weir_task_current();
	job->password = password;
	job->hash = hash;
	status = uv_queue_work(weir_loop_uv(weir_loop_current()), &job->work, job_on_work,
			       job_on_end);
	while (!status && !job->ended)
		status = weir_task_park_firmly("password", WEIR_NEVER);
	if (!status)
		status = job->right;
	explicit_bzero(job, sizeof(*job));
	free(job);
	return status;
}

static struct check *check_find(struct http_passwords *passwords, const struct http_digest *digest)
{
	struct weir_list *link;

	for (link = passwords->running.next; link != &passwords->running; link = link->next) {
		struct check *check = weir_container_of(link, struct check, link);

		if (http_digest_is_equal(&check->digest, digest))
			return check;
	}
	return NULL;
}

static int check_begin(struct http_passwords *passwords, const struct http_digest *digest,
		       const char *password, const char *hash, bool known)
{
	struct check check = { .digest = *digest };
	int status;

	weir_event_init(&check.done);
	weir_list_add_tail(&passwords->running, &check.link);
	status = job_run(password, hash);
	weir_list_del(&check.link);
	if (status >= 0) {
		status = status == 1 && known;
		remember(passwords, digest, status == 1);
	}
	/* Takes those who wait out of its list, so they do not look at this stack again. */
	weir_event_set(&check.done);
	return status;
}

int http_password_verify(struct http_passwords *passwords, struct weir_text user,
			 struct weir_text password, const char *hash, bool known)
{
	struct http_digest digest = digest_of(passwords, user, password);
	int status = recall(passwords, &digest);
	struct check *check;

	if (status != -ENOENT)
		return status;
	check = check_find(passwords, &digest);
	if (check) {
		status = weir_event_wait(&check->done, "password", WEIR_NEVER);
		if (!status)
			status = recall(passwords, &digest);
		if (status != -ENOENT)
			return status;
	}
	if (passwords->checks >= passwords->max_checks)
		return WEIR_EQUEUE;
	passwords->checks++;
	status = check_begin(passwords, &digest, password.data, hash, known);
	passwords->checks--;
	return status;
}

/* ---- configuration ---- */

/* What may be called strong today. crypt(3)'s own word for old methods is stricter than that in one
 * place (SHA-256) and looser in others. */
static bool hash_is_strong(const char *hash)
{
	static const char *const prefixes[] = { "$2a$", "$2b$", "$2y$", "$5$",
						"$6$",	"$7$",	"$y$",	"$gy$" };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(prefixes); i++)
		if (strncmp(hash, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

int http_password_check_hash(const char *user, const char *hash, struct weir_error *error)
{
	const char *remedy = "make one with `htpasswd -nB` or `mkpasswd -m yescrypt`";
	int status = crypt_checksalt(hash);

	if (hash[0] != '$' || status == CRYPT_SALT_INVALID || status == CRYPT_SALT_METHOD_DISABLED)
		return http_layer_refuse(error, remedy, "crypt(3) cannot check the hash of \"%s\"",
					 user);
	if (!hash_is_strong(hash) || status == CRYPT_SALT_TOO_CHEAP)
		return http_layer_refuse(error, remedy, "the hash of \"%s\" is of a weak kind",
					 user);
	return 0;
}
