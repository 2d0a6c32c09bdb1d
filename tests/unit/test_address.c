/* SPDX-License-Identifier: MIT */
/* Addresses and targets: their text forms, equality, hashes; and the hash itself. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/address.h>
#include <weir/hash.h>

static struct weir_address parse(const char *text)
{
	struct weir_address address;

	if (weir_address_parse(&address, text))
		fail_msg("cannot read '%s'", text);
	return address;
}

static void assert_reads(const char *text, const char *expected)
{
	struct weir_address address = parse(text);
	char out[WEIR_ADDRESS_TEXT];

	assert_string_equal(weir_address_format(&address, out), expected);
}

static void test_reads_and_writes(void **state)
{
	(void)state;
	assert_reads("10.0.0.1:80", "10.0.0.1:80");
	assert_reads("0.0.0.0:0", "0.0.0.0:0");
	assert_reads("[2001:db8::1]:65535", "[2001:db8::1]:65535");
	assert_reads("[2001:0DB8:0:0::1]:1", "[2001:db8::1]:1");
	assert_reads("80", "[::]:80");
	assert_reads(":80", "[::]:80");
	assert_reads("[::ffff:10.1.2.3]:80", "10.1.2.3:80");
	assert_reads("unix:/run/weir/x.sock", "unix:/run/weir/x.sock");
	assert_reads("unix:relative", "unix:relative");
	assert_reads("unix:@name", "unix:@name");
	assert_reads("unix:@a@b:c d", "unix:@a@b:c d");
}

static void test_reads_zones(void **state)
{
	struct weir_address address = parse("[fe80::1%lo]:80");

	(void)state;
	assert_int_equal(address.in6.sin6_scope_id, 1);
	assert_reads("[fe80::1%lo]:80", "[fe80::1%1]:80");
	assert_reads("[fe80::1%7]:80", "[fe80::1%7]:80");
	assert_int_equal(weir_address_parse(&address, "[fe80::1%nosuchif]:80"), -EINVAL);
	assert_int_equal(weir_address_parse(&address, "[fe80::1%]:80"), -EINVAL);
	assert_int_equal(weir_address_parse(&address, "[fe80::1%0]:80"), -EINVAL);
	assert_int_equal(weir_address_parse(&address, "[fe80::1%1x]:80"), -EINVAL);
	assert_int_equal(weir_address_parse(&address, "[fe80::1%4294967296]:80"), -EINVAL);
	assert_int_equal(weir_address_parse(&address, "[2001:db8::1%1]:80"), -EINVAL);
}

static void test_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"::",
		"host",
		"host:80",
		"10.0.0.1",
		"10.0.0.1:",
		"10.0.0.1:65536",
		"10.0.0.1:123456789012345678901234567890",
		"10.0.0.1:080",
		"10.0.0.1:+80",
		"10.0.0.1:-1",
		"10.0.0.1: 80",
		"10.0.0.1:80 ",
		" 10.0.0.1:80",
		"10.0.0.256:80",
		"10.0.1:80",
		"2001:db8::1:80",
		"[2001:db8::1]",
		"[2001:db8::1]80",
		"[2001:db8::1:80",
		"2001:db8::1]:80",
		"[]:80",
		"[10.0.0.1]:80",
		"[2001:db8::1::2]:80",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee]:80",
		"unix:",
		"unix:@",
		"unix:/tmp/a\nb",
		"unix:/tmp/\x7f",
		"UNIX:/tmp/x",
	};
	struct weir_address address;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		if (weir_address_parse(&address, bad[i]) != -EINVAL)
			fail_msg("'%s' should be refused", bad[i]);
		assert_int_equal(address.size, 0);
	}
}

static void test_unix_length(void **state)
{
	char text[200] = "unix:/";
	struct weir_address address;

	(void)state;
	memset(text + 6, 'x', 106); /* 107 bytes of path, the most that fits with its end */
	address = parse(text);
	assert_int_equal(address.size, sizeof(struct sockaddr_un));
	assert_reads(text, text);
	text[5] = '@';
	address = parse(text);
	assert_int_equal(address.size, sizeof(struct sockaddr_un) - 1);
	assert_reads(text, text);
	text[112] = 'x';
	assert_int_equal(weir_address_parse(&address, text), -ENAMETOOLONG);
}

static void test_host_alone(void **state)
{
	char text[WEIR_ADDRESS_TEXT];
	struct weir_address address;

	(void)state;
	address = parse("[2001:db8::1]:80");
	assert_string_equal(weir_address_format_host(&address, text), "2001:db8::1");
	address = parse("[::ffff:10.1.2.3]:80");
	assert_string_equal(weir_address_format_host(&address, text), "10.1.2.3");
	address = parse("unix:@x");
	assert_string_equal(weir_address_format_host(&address, text), "unix:@x");

	assert_int_equal(weir_address_parse_host(&address, "127.0.0.2"), 0);
	assert_string_equal(weir_address_format(&address, text), "127.0.0.2:0");
	assert_int_equal(weir_address_parse_host(&address, "::1"), 0);
	assert_string_equal(weir_address_format(&address, text), "[::1]:0");
	assert_int_equal(weir_address_parse_host(&address, "fe80::2%lo"), 0);
	assert_string_equal(weir_address_format(&address, text), "[fe80::2%1]:0");
	assert_int_equal(weir_address_parse_host(&address, ""), -EINVAL);
	assert_int_equal(weir_address_parse_host(&address, "127.0.0.2:80"), -EINVAL);
	assert_int_equal(weir_address_parse_host(&address, "[::1]"), -EINVAL);
	assert_int_equal(weir_address_parse_host(&address, "localhost"), -EINVAL);
	assert_int_equal(address.size, 0);
}

static void test_what_the_kernel_says(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct weir_address address = { 0 };
	struct weir_address path;
	char text[WEIR_ADDRESS_TEXT];

	(void)state;
	assert_string_equal(weir_address_format(&address, text), "-");
	assert_false(weir_address_is_unix(&address));
	weir_address_set(&address, (struct sockaddr *)&un, sizeof(un.sun_family));
	assert_true(weir_address_is_unix(&address));
	assert_string_equal(weir_address_format(&address, text), "unix:");

	/* A peer may have any bytes for a name, and a path that fills the array. */
	memcpy(un.sun_path, "\0a\n\0b", 5);
	weir_address_set(&address, (struct sockaddr *)&un, sizeof(un.sun_family) + 5);
	assert_string_equal(weir_address_format(&address, text), "unix:@a??b");
	memset(un.sun_path, 'y', sizeof(un.sun_path));
	weir_address_set(&address, (struct sockaddr *)&un, sizeof(un) + 1);
	assert_int_equal(strlen(weir_address_format(&address, text)), 5 + sizeof(un.sun_path));

	/* Whether a path's end is counted makes no difference. */
	strcpy(un.sun_path, "/x");
	weir_address_set(&address, (struct sockaddr *)&un, sizeof(un.sun_family) + 2);
	path = parse("unix:/x");
	assert_true(weir_address_is_equal(&address, &path));
	assert_int_equal(weir_address_hash_host(&address, 1), weir_address_hash_host(&path, 1));
}

static void test_equality(void **state)
{
	static const char *const texts[] = {
		"10.0.0.1:80",	  "10.0.0.2:80",    "10.0.0.1:81",
		"[::1]:80",	  "[::2]:80",	    "unix:/1234",
		"unix:@1234",	  "unix:/12345",    "unix:\x31\x32\x33\x34",
		"[fe80::1%1]:80", "[fe80::1%2]:80", "49.50.51.52:0",
	};
	struct weir_address none = { 0 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(texts); i++) {
		for (size_t j = 0; j < WEIR_ARRAY_SIZE(texts); j++) {
			struct weir_address a = parse(texts[i]), b = parse(texts[j]);

			if (weir_address_is_equal(&a, &b) != (i == j))
				fail_msg("%s and %s", texts[i], texts[j]);
			assert_false(weir_address_is_equal(&a, &none));
		}
	}
	assert_true(weir_address_is_equal(&none, &none));

	struct weir_address mapped = parse("[::ffff:10.0.0.1]:80"), plain = parse(texts[0]);

	assert_true(weir_address_is_equal(&mapped, &plain));
	assert_int_equal(weir_address_hash_host(&mapped, 7), weir_address_hash_host(&plain, 7));
}

static void test_hash_of_host(void **state)
{
	struct weir_address a = parse("10.0.0.1:80"), b = parse("10.0.0.1:81");
	struct weir_address c = parse("10.0.0.2:80"), none = { 0 };

	(void)state;
	assert_int_equal(weir_address_hash_host(&a, 1), weir_address_hash_host(&b, 1));
	assert_int_not_equal(weir_address_hash_host(&a, 1), weir_address_hash_host(&c, 1));
	assert_int_not_equal(weir_address_hash_host(&a, 1), weir_address_hash_host(&a, 2));
	assert_int_not_equal(weir_address_hash_host(&none, 1), weir_address_hash_host(&none, 2));
	/* The same on every machine and in every version: ring and maglev tables stand on it. */
	assert_int_equal(weir_address_hash_host(&a, 1),
			 weir_hash("\x0a\0\0\x01", 4, (const uint64_t[]){ 1, 0 }));
}

/* Bit by bit the algorithm of the paper, written the other way: no shared code. */
static uint64_t reference_siphash(const unsigned char *in, size_t size, uint64_t k0, uint64_t k1)
{
	uint64_t a = k0 ^ 0x736f6d6570736575, b = k1 ^ 0x646f72616e646f6d;
	uint64_t c = k0 ^ 0x6c7967656e657261, d = k1 ^ 0x7465646279746573;
#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))
#define ROUND()                                                                             \
	(a += b, b = ROTL(b, 13), b ^= a, a = ROTL(a, 32), c += d, d = ROTL(d, 16), d ^= c, \
	 a += d, d = ROTL(d, 21), d ^= a, c += b, b = ROTL(b, 17), b ^= c, c = ROTL(c, 32))
	for (size_t block = 0; block <= size / 8; block++) {
		uint64_t m = 0;

		for (size_t i = 0; i < 8; i++) {
			size_t at = block * 8 + i;
			uint64_t byte = at < size ? in[at] : i == 7 ? size & 0xff : 0;

			m |= byte << 8 * i;
		}
		d ^= m, ROUND(), ROUND(), a ^= m;
	}
	c ^= 0xff, ROUND(), ROUND(), ROUND(), ROUND();
	return a ^ b ^ c ^ d;
}

static void test_hash(void **state)
{
	const uint64_t key[2] = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char in[64];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)i;
	/* The test vector of the paper's appendix A proves the reference. */
	assert_int_equal(reference_siphash(in, 15, key[0], key[1]), 0xa129ca6149be45e5);
	for (size_t size = 0; size <= sizeof(in); size++)
		assert_int_equal(weir_hash(in, size, key),
				 reference_siphash(in, size, key[0], key[1]));
}

static void assert_target(const char *text, const char *expected)
{
	struct weir_target target;
	char out[300];

	if (weir_target_parse(&target, text))
		fail_msg("cannot read '%s'", text);
	assert_string_equal(weir_target_format(&target, out, sizeof(out)), expected);
}

static void test_targets(void **state)
{
	struct weir_target target;

	(void)state;
	assert_target("10.0.0.1:80", "10.0.0.1:80");
	assert_target("[::1]:80", "[::1]:80");
	assert_target("unix:/x", "unix:/x");
	assert_target("localhost:80", "localhost:80");
	assert_target("db-1_a.Example.com.:5432", "db-1_a.Example.com:5432");
	assert_target("10.0.0.1.example:1", "10.0.0.1.example:1");
	assert_target("srv:_postgres._tcp.example.com", "srv:_postgres._tcp.example.com");

	assert_int_equal(weir_target_parse(&target, "db.example:5432"), 0);
	assert_int_equal(target.address.size, 0);
	assert_string_equal(target.host, "db.example");
	assert_int_equal(target.port, 5432);
	assert_false(target.is_service);
	assert_int_equal(weir_target_parse(&target, "srv:_a._b.c"), 0);
	assert_true(target.is_service);
	assert_int_equal(weir_target_parse(&target, "10.0.0.1:80"), 0);
	assert_string_equal(target.host, "");
	assert_int_equal(weir_address_port(&target.address), 80);
}

static void test_refused_targets(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"localhost",
		"localhost:",
		"localhost:0",
		"localhost:65536",
		".:80",
		"..:80",
		"a..b:80",
		".a:80",
		"a b:80",
		"a/b:80",
		"a:b:80",
		"10.0.0.256:80",
		"10.0.0:80",
		"123:80",
		"10.0.0.1:0",
		"0",
		"srv:",
		"srv:.",
		"srv:_a._b.c:80",
		"unix:",
		"[::1:80",
		"x@y:80",
		"srv.:80",
		"unix.:80",
		"\xc3\xa4.example:80",
	};
	struct weir_target target;
	char text[400];

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		if (weir_target_parse(&target, bad[i]) != -EINVAL)
			fail_msg("'%s' should be refused", bad[i]);

	/* Labels of 63 bytes and names of 253 bytes are the longest. */
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	strcpy(text + 253, ":80");
	assert_int_equal(weir_target_parse(&target, text), 0);
	strcpy(text + 253, "a:80");
	assert_int_equal(weir_target_parse(&target, text), -EINVAL);
	strcpy(text + 63, "a:80");
	assert_int_equal(weir_target_parse(&target, text), -EINVAL);
	strcpy(text + 63, ":80");
	assert_int_equal(weir_target_parse(&target, text), 0);
}

static void test_target_text_is_cut(void **state)
{
	struct weir_target target;
	char text[8];

	(void)state;
	assert_int_equal(weir_target_parse(&target, "db.example.com:5432"), 0);
	assert_string_equal(weir_target_format(&target, text, sizeof(text)), "db.exam");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_writes),
		cmocka_unit_test(test_reads_zones),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_unix_length),
		cmocka_unit_test(test_host_alone),
		cmocka_unit_test(test_what_the_kernel_says),
		cmocka_unit_test(test_equality),
		cmocka_unit_test(test_hash_of_host),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_refused_targets),
		cmocka_unit_test(test_target_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
