/* Takes orders as JSON and makes of them what may be shown around: the id, the total in cents, and the mail address without
   the name in it. Large orders go to the second output, keyed by their id and all to partition 0; the others to the first. What
   is no order and what was cancelled is dropped; a tombstone goes to both outputs, so that whatever its key had is deleted in
   both.

   --config limit=10000: from how many cents on an order is large */
#include "millrun.h"

static millrun_path id_path, status_path, total_path, email_path, country_path, at_path;
static int64_t limit;

/* A buffer that is used again for each record. */
typedef struct {
	uint8_t *p;
	uint32_t n, room;
} buffer;

static void append(buffer *b, millrun_bytes more) {
	if (more.n > b->room - b->n) {
		uint32_t room = 2 * (b->n + more.n) + 256;
		uint8_t *p = millrun_new(room);
		if (p == NULL) __builtin_trap();
		if (b->n > 0) __builtin_memcpy(p, b->p, b->n);
		b->p = p, b->room = room;
	}
	if (more.n > 0) __builtin_memcpy(b->p + b->n, more.p, more.n);
	b->n += more.n;
}

static void append_number(buffer *b, int64_t n) {
	uint8_t digits[20];
	uint32_t at = sizeof digits;
	uint64_t left = n < 0 ? -(uint64_t)n : (uint64_t)n;
	do digits[--at] = (uint8_t)('0' + left % 10);
	while ((left /= 10) > 0);
	if (n < 0) digits[--at] = '-';
	append(b, (millrun_bytes){digits + at, sizeof digits - at});
}

static millrun_bytes all(const buffer *b) { return (millrun_bytes){b->p, b->n}; }

/* A number of at most fifteen digits and nothing else, or -1. */
static int64_t whole(millrun_bytes text) {
	if (text.n == 0 || text.n > 15) return -1;
	int64_t n = 0;
	for (uint32_t i = 0; i < text.n; i++) {
		if (text.p[i] < '0' || text.p[i] > '9') return -1;
		n = n * 10 + (text.p[i] - '0');
	}
	return n;
}

/* An amount as 12, 12.5 or 12.50, in cents; -1 for anything else. */
static int64_t cents(millrun_bytes amount) {
	int32_t dot = millrun_find(amount, MILLRUN_TEXT("."));
	if (dot < 0) return amount.n > 12 || whole(amount) < 0 ? -1 : whole(amount) * 100;
	millrun_bytes euros = {amount.p, (uint32_t)dot}, part = {amount.p + dot + 1, amount.n - (uint32_t)dot - 1};
	if (euros.n > 12 || part.n > 2 || whole(euros) < 0 || whole(part) < 0) return -1;
	return whole(euros) * 100 + whole(part) * (part.n == 1 ? 10 : 1);
}

static bool is_string(millrun_bytes value) { return value.p != NULL && value.p[0] == '"'; }

static bool configure(const millrun_config *config) {
	static const char *const keys[] = {"limit", NULL};
	if (!millrun_config_only(config, keys)) return false;
	millrun_bytes given = millrun_config_get(config, "limit");
	limit = given.p == NULL ? 10000 : whole(given);
	if (limit < 0) return millrun_refuse(MILLRUN_TEXT("limit is no number of cents"));
	id_path = millrun_path_of(MILLRUN_TEXT("id"));
	status_path = millrun_path_of(MILLRUN_TEXT("status"));
	total_path = millrun_path_of(MILLRUN_TEXT("total"));
	email_path = millrun_path_of(MILLRUN_TEXT("customer.email"));
	country_path = millrun_path_of(MILLRUN_TEXT("customer.country"));
	at_path = millrun_path_of(MILLRUN_TEXT("at"));
	return true;
}

static bool map(const millrun_record *r, millrun_output *out) {
	static buffer value, key, place;
	if (r->value.p == NULL) {
		millrun_to(out, 0);
		millrun_to(out, 1);
		return true;
	}
	millrun_bytes id = millrun_json_field(r->value, id_path), total = millrun_json_field(r->value, total_path);
	int64_t amount = id.p == NULL || total.p == NULL ? -1 : cents(total);
	if (amount < 0) return true; /* no order */
	millrun_bytes status = millrun_json_field(r->value, status_path);
	if (status.p != NULL && millrun_equals(millrun_json_text(status), MILLRUN_TEXT("cancelled"))) return true;

	value.n = 0;
	append(&value, MILLRUN_TEXT("{\"id\":"));
	append(&value, id);
	append(&value, MILLRUN_TEXT(",\"cents\":"));
	append_number(&value, amount);
	millrun_bytes email = millrun_json_field(r->value, email_path);
	if (is_string(email)) {
		uint32_t from = email.n - 1;
		while (from > 0 && email.p[from] != '@') from--;
		if (from == 0) from = email.n - 1;
		append(&value, MILLRUN_TEXT(",\"email\":\"***"));
		append(&value, (millrun_bytes){email.p + from, email.n - from}); /* with its quote */
	}
	append(&value, MILLRUN_TEXT("}"));

	millrun_call call = millrun_current();
	place.n = 0;
	append(&place, call.topic);
	append(&place, MILLRUN_TEXT("/"));
	append_number(&place, call.partition);
	append(&place, MILLRUN_TEXT("/"));
	append_number(&place, call.base_offset + r->offset_delta);

	const bool large = amount >= limit;
	millrun_to(out, large);
	millrun_value(out, all(&value));
	millrun_add_header(out, MILLRUN_TEXT("from"), all(&place));
	millrun_bytes country = millrun_json_field(r->value, country_path);
	if (is_string(country)) millrun_add_header(out, MILLRUN_TEXT("region"), millrun_json_text(country));
	millrun_bytes at = millrun_json_field(r->value, at_path);
	if (at.p != NULL && whole(at) >= 0) millrun_timestamp(out, whole(at));
	if (large) {
		key.n = 0;
		append(&key, millrun_json_text(id));
		if (key.p == NULL) append(&key, MILLRUN_TEXT(" ")), key.n = 0; /* empty is not null */
		millrun_key(out, all(&key));
		millrun_partition(out, 0);
	}
	return true;
}

MILLRUN_TRANSFORM(MILLRUN_VALUE | MILLRUN_HEADERS, configure, map)
