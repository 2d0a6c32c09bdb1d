/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <weir/text.h>

#define EACH_BYTE(c) (0x0101010101010101u * (uint8_t)(c))

/* Eight bytes with A to Z made a to z: bit 7 of each lane tells whether its letter lies in the
 * range, and moves down to bit 5. Lanes do not carry into each other, for their bit 7 is cleared
 * before the additions. */
static uint64_t text_fold(uint64_t bytes)
{
	uint64_t low = bytes & EACH_BYTE(0x7f);
	uint64_t above_z = low + EACH_BYTE(0x7f - 'Z');
	uint64_t from_a = low + EACH_BYTE(0x80 - 'A');
	uint64_t upper = (from_a ^ above_z) & ~bytes & EACH_BYTE(0x80);

	return bytes | upper >> 2;
}

static uint64_t text_load(const char *data, size_t size)
{
	uint64_t bytes = 0;

	memcpy(&bytes, data, size);
	return text_fold(bytes);
}

bool weir_text_is_equal_nocase(struct weir_text a, struct weir_text b)
{
	size_t i = 0;

	if (a.size != b.size)
		return false;
	for (; a.size - i >= 8; i += 8) {
		if (text_load(a.data + i, 8) != text_load(b.data + i, 8))
			return false;
	}
	if (i == a.size)
		return true;
	return text_load(a.data + i, a.size - i) == text_load(b.data + i, a.size - i);
}

bool weir_text_has_prefix(struct weir_text text, struct weir_text prefix)
{
	return text.size >= prefix.size &&
	       weir_text_is_equal((struct weir_text){ text.data, prefix.size }, prefix);
}

bool weir_text_has_suffix_nocase(struct weir_text text, struct weir_text suffix)
{
	if (text.size < suffix.size)
		return false;
	if (suffix.size == 0)
		return true;
	return weir_text_is_equal_nocase(
		(struct weir_text){ text.data + text.size - suffix.size, suffix.size }, suffix);
}

static bool text_is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct weir_text weir_text_trim(struct weir_text text)
{
	while (text.size > 0 && text_is_space(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && text_is_space(text.data[text.size - 1]))
		text.size--;
	return text;
}

/* How many bytes of LIST come before the comma that ends its first element. */
static size_t text_item_size(struct weir_text list)
{
	bool quoted = false;

	for (size_t i = 0; i < list.size; i++) {
		if (list.data[i] == ',' && !quoted)
			return i;
		if (list.data[i] == '"')
			quoted = !quoted;
		else if (list.data[i] == '\\' && quoted)
			i++;
	}
	return list.size;
}

bool weir_text_next_item(struct weir_text *list, struct weir_text *item)
{
	while (list->size > 0) {
		size_t size = text_item_size(*list);
		size_t taken = WEIR_MIN(size + 1, list->size);

		*item = weir_text_trim((struct weir_text){ list->data, size });
		list->data += taken;
		list->size -= taken;
		if (item->size > 0)
			return true;
	}
	return false;
}

bool weir_text_split(struct weir_text text, char c, struct weir_text *head, struct weir_text *tail)
{
	const char *at = text.size ? memchr(text.data, c, text.size) : NULL;

	*head = text;
	*tail = (struct weir_text){ NULL, 0 };
	if (!at)
		return false;
	head->size = (size_t)(at - text.data);
	*tail = (struct weir_text){ at + 1, text.size - head->size - 1 };
	return true;
}

int weir_text_parse_u64(struct weir_text text, uint64_t *value)
{
	uint64_t sum = 0;

	if (text.size == 0)
		return -EINVAL;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(sum, 10u, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			return -EINVAL;
	}
	*value = sum;
	return 0;
}
