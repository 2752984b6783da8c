/* Keeps the records whose value holds a text, as the filter beside it does, but searches the stored batch as a whole and looks
   only at the records that it hits.

   --config text=WORD */
#include "millrun.h"

static millrun_bytes text;

static bool configure(const millrun_config *config) {
	static const char *const keys[] = {"text", NULL};
	text = millrun_config_get(config, "text");
	if (!millrun_config_only(config, keys)) return false;
	return text.n > 0 || millrun_refuse(MILLRUN_TEXT("which text? say --config text=..."));
}

static bool filter(const uint8_t *p, uint32_t len, uint32_t n, uint8_t *bits) {
	const uint8_t *const end = p + len;
	millrun_record r;
	for (uint32_t i = 0; i < n;) {
		int32_t hit = millrun_find((millrun_bytes){p, (uint32_t)(end - p)}, text);
		if (hit < 0) break;
		const uint8_t *const place = p + hit;
		do {
			if (!millrun_next_raw(&p, end, &r)) return millrun_refuse(MILLRUN_TEXT("a malformed record"));
			i++;
		} while (p <= place && i < n);
		if (millrun_contains(r.value, text)) bits[(i - 1) / 8] |= (uint8_t)(1 << ((i - 1) & 7));
	}
	return true;
}

MILLRUN_BATCH_FILTER(MILLRUN_RAW, configure, filter)
