/* SPDX-License-Identifier: MIT */
/* The static probes are in the program, under their names and with their arguments. */

#include <fcntl.h>
#include <gelf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/bridge.h>
#include <weir/listener.h>
#include <weir/usdt.h>

struct probe {
	const char *name;
	int arguments;
	int found;
};

static unsigned words(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text != ' ' && (text[1] == ' ' || text[1] == '\0');
	return n;
}

/* A stapsdt note: three addresses, then provider, name and arguments, each terminated. */
static void note_count(const char *note, struct probe *probes, size_t n)
{
	const char *provider = note + 3 * sizeof(void *);
	const char *name = provider + strlen(provider) + 1;
	const char *arguments = name + strlen(name) + 1;

	for (size_t i = 0; i < n && strcmp(provider, "weir") == 0; i++) {
		if (strcmp(probes[i].name, name) != 0)
			continue;
		assert_int_equal(words(arguments), probes[i].arguments);
		probes[i].found++;
	}
}

static void section_count(Elf_Data *data, struct probe *probes, size_t n)
{
	size_t offset = 0, name, desc;
	GElf_Nhdr header;

	while ((offset = gelf_getnote(data, offset, &header, &name, &desc)) > 0)
		if (header.n_type == 3)
			note_count((const char *)data->d_buf + desc, probes, n);
}

static void probes_are_in_the_program(void **state)
{
	struct probe probes[] = {
		{ "conn_begin", 3, 0 },
		{ "conn_end", 4, 0 },
		{ "path_switch", 4, 0 },
	};
	/* So that the linker keeps what they are in. */
	void *volatile kept[] = { (void *)(uintptr_t)weir_listener_open,
				  (void *)(uintptr_t)weir_bridge_run };
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	Elf_Scn *section = NULL;
	size_t names;
	Elf *elf;

	(void)state;
	assert_non_null(kept[0]);
#ifndef WEIR_HAS_USDT
	close(fd);
	printf("needs sdt: sys/sdt.h was missing when this was compiled\n");
	skip();
#endif
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(elf);
	assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr header;

		gelf_getshdr(section, &header);
		if (strcmp(elf_strptr(elf, names, header.sh_name), ".note.stapsdt") == 0)
			section_count(elf_getdata(section, NULL), probes, WEIR_ARRAY_SIZE(probes));
	}
	elf_end(elf);
	close(fd);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(probes); i++)
		if (probes[i].found == 0)
			fail_msg("no probe %s", probes[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_are_in_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
