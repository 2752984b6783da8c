/* A filter over records as they are stored: it keeps those whose key is a prefix of their value, in two ways. */
#include "millrun.h"

#ifdef BATCH
static bool filter(const uint8_t *p, uint32_t len, uint32_t n, uint8_t *bits) {
	const uint8_t *end = p + len;
	millrun_record r;
	for (uint32_t i = 0; i < n; i++) {
		if (!millrun_next_raw(&p, end, &r)) return millrun_refuse(MILLRUN_TEXT("a malformed record"));
		bits[i / 8] |= (uint8_t)((r.value.p != NULL && millrun_has_prefix(r.value, r.key)) << (i & 7));
	}
	return p == end;
}

MILLRUN_BATCH_FILTER(MILLRUN_RAW, NULL, filter)
#else
static bool keep(const millrun_record *r) { return r->value.p != NULL && millrun_has_prefix(r->value, r->key); }

#ifdef ROWS
MILLRUN_FILTER(MILLRUN_KEY | MILLRUN_VALUE, NULL, keep)
#else
MILLRUN_FILTER(MILLRUN_RAW, NULL, keep)
#endif
#endif
