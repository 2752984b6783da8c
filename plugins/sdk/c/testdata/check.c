/* A transform that does with each record what its key asks for, so that a test in Go sees what the header does. */
#include "millrun.h"

static millrun_bytes number(int32_t n) {
	static int32_t kept;
	kept = n;
	return (millrun_bytes){(const uint8_t *)&kept, 4};
}

static bool rows(const millrun_record *r, millrun_output *out) {
	millrun_to(out, 1);
	millrun_to(out, 0);
	millrun_key(out, MILLRUN_TEXT("k"));
	millrun_value(out, MILLRUN_NULL);
	millrun_timestamp(out, r->timestamp + 1);
	millrun_partition(out, 3);
	millrun_add_header(out, MILLRUN_TEXT("added"), MILLRUN_NULL);
	millrun_to(out, 1);
	millrun_no_headers(out);
	millrun_value(out, MILLRUN_TEXT(""));
	millrun_to(out, 0);
	millrun_no_headers(out);
	millrun_add_header(out, MILLRUN_TEXT("only"), MILLRUN_TEXT("one"));
	return true;
}

/* The key: a letter, how much of the value is the text (two bytes), and an argument. What follows the text in memory is the
   rest of the value, which must make no difference. */
static bool map(const millrun_record *r, millrun_output *out) {
	if (r->key.n < 3) return millrun_refuse(MILLRUN_TEXT("no key"));
	const millrun_bytes arg = {r->key.p + 3, r->key.n - 3};
	const millrun_bytes text = {r->value.p, (uint32_t)r->key.p[1] | (uint32_t)r->key.p[2] << 8};
	millrun_bytes found = MILLRUN_NULL;
	switch (r->key.p[0]) {
	case 'f': found = millrun_json_field(text, millrun_path_of(arg)); break;
	case 't':
		found = millrun_json_field(text, millrun_path_of(arg));
		if (found.p != NULL) found = millrun_json_text(found);
		break;
	case 'p': found = number((int32_t)millrun_path_of(arg).n); break;
	case 'i': found = number(millrun_find(text, arg)); break;
	case 'c': found = number(millrun_compare(text, arg)); break;
	case 'e': found = number(millrun_equals(text, arg) | millrun_has_prefix(text, arg) << 1 | millrun_contains(text, arg) << 2); break;
	case 'h': if (!millrun_header(r, arg, &found)) found = MILLRUN_TEXT("no such header"); break;
	case 'n': found = number((int32_t)millrun_num_headers(r)); break;
	case 'o': {
		const millrun_call call = millrun_current();
		found = call.topic;
		millrun_to(out, 0);
		millrun_timestamp(out, call.base_offset + r->offset_delta);
		millrun_value(out, number(call.partition));
		break;
	}
	case 'r': return rows(r, out);
	default: return millrun_refuse(MILLRUN_TEXT("an unknown key"));
	}
	millrun_to(out, 0);
	millrun_value(out, found);
	return true;
}

static bool configure(const millrun_config *c) {
	static const char *const keys[] = {"a", "b", NULL};
	if (!millrun_config_only(c, keys)) return false;
	millrun_bytes a = millrun_config_get(c, "a");
	return a.p == NULL || millrun_refuse(a);
}

MILLRUN_TRANSFORM(MILLRUN_ALL, configure, map)
