/* The fast way of the filter: a whole call's records in one function, which plugins/build links into the Go module in place
   of what that imports as millrun.simd.scan. It decides what is plain and leaves the rest, which is rare, to the Go code: so
   it holds nothing of its own, and everything that it works with lies in the job. */
#define MILLRUN__OUT static inline __attribute__((always_inline, unused))
#define MILLRUN_NO_LIBC_FUNCTIONS
#include "../../sdk/c/millrun.h"

/* What to do with the field, as scan.go has it. */
enum { TEXT, ORDER, CONTAINS, PREFIX, EXISTS, ASK };

/* A number without an exponent: whole has at most 15 digits, part 8, scaled to eight. */
typedef struct {
	uint64_t whole;
	uint32_t part, negative;
} decimal;

typedef struct {
	uint32_t index;
	millrun_bytes bytes;
	uint32_t is_field; /* or else the whole value */
} doubt;

/* Most records of a topic have one layout: the same keys in the same order. It is kept as the pieces of a text that lie
   around its values, the strings (without their quotes) and the bare ones. A text that is made of those pieces with strings
   and bare values in between is JSON, as the one is that they were taken from, and its field lies where that one's lay: to
   look for the pieces is much less than to parse it. */
enum { LAYOUT_VALUES = 32, LAYOUT_BYTES = 1024, IS_STRING = 1 << 16 };

typedef struct {
	uint32_t values; /* 0: there is no layout */
	uint32_t field;  /* the number of the value that is the field */
	uint32_t hits, misses, patience; /* since it was taken; and how many misses are borne before another is */
	uint32_t parts[LAYOUT_VALUES + 1]; /* the size of each piece, and whether a string follows */
	uint8_t pieces[LAYOUT_BYTES + MILLRUN_SLACK]; /* each takes whole 16 bytes */
} layout;

typedef struct {
	const uint8_t *records;
	uint32_t size, n;
	uint8_t *bits; /* one for each record: it goes on. They are 0 */
	millrun_path path;
	uint32_t op, holds; /* of ORDER: 1 below, 2 the same, 4 above */
	millrun_bytes value;
	uint32_t numeric, fits; /* the value is a number, and number is it */
	decimal number;
	uint32_t invert;
	doubt *doubts; /* room for n */
	millrun__json *scratch;
	layout *layout;
} job;

enum { NO, YES, DOUBT };

MILLRUN__IN uint32_t digits_at(const uint8_t *p) {
	return (uint32_t)__builtin_ctz(~millrun__digit_mask(p));
}

/* eight is the number that eight digits are, the first the lowest byte. Zero bytes are zeros. */
MILLRUN__IN uint64_t eight(uint64_t v) {
	v = (v & 0x0f0f0f0f0f0f0f0f) * 2561 >> 8;
	v = (v & 0x00ff00ff00ff00ff) * 6553601 >> 16;
	return (v & 0x0000ffff0000ffff) * 42949672960001 >> 32;
}

/* read_decimal reads a JSON number; false if it has an exponent or more digits than a decimal. */
MILLRUN__IN bool read_decimal(millrun_bytes text, decimal *d) {
	const uint8_t *p = text.p, *const end = p + text.n;
	d->negative = *p == '-';
	p += d->negative;
	const uint32_t whole = digits_at(p);
	if (whole > 15) return false;
	if (whole <= 8) d->whole = eight(millrun__load64(p) << (8 * (8 - whole)));
	else d->whole = eight(millrun__load64(p) << (8 * (16 - whole))) * 100000000 + eight(millrun__load64(p + whole - 8));
	p += whole;
	d->part = 0;
	if (p >= end) return p == end; /* digits of what follows the text */
	if (*p != '.') return false;
	const uint32_t part = digits_at(++p);
	if (part > 8 || p + part != end) return false;
	const uint64_t v = millrun__load64(p);
	d->part = (uint32_t)eight(part == 8 ? v : v & ((uint64_t)1 << 8 * part) - 1);
	return true;
}

MILLRUN__IN int32_t compare_decimals(const decimal *a, const decimal *b) {
	const bool a_zero = (a->whole | a->part) == 0, b_zero = (b->whole | b->part) == 0;
	const bool a_negative = a->negative && !a_zero, b_negative = b->negative && !b_zero;
	if (a_negative != b_negative) return a_negative ? -1 : 1;
	int32_t order = a->whole != b->whole ? (a->whole < b->whole ? -1 : 1) : a->part != b->part ? (a->part < b->part ? -1 : 1) : 0;
	return a_negative ? -order : order;
}

MILLRUN__IN bool has_backslash(millrun_bytes b) {
	uint32_t at = 0;
	for (; MILLRUN__RARE(at + 16 < b.n); at += 16)
		if (wasm_v128_any_true(wasm_i8x16_eq(wasm_v128_load(b.p + at), wasm_u8x16_splat('\\')))) return true;
	const uint32_t mask = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(b.p + at), wasm_u8x16_splat('\\')));
	return (mask & ((1u << (b.n - at)) - 1)) != 0;
}

/* judge says whether the field is what is asked for, before invert. */
MILLRUN__IN uint32_t judge(const job *j, millrun_bytes field) {
	if (j->op == EXISTS) return YES;
	if (j->op == ASK) return DOUBT;
	const uint8_t c = field.p[0];
	int32_t order;
	if (j->op == ORDER && j->numeric && (c == '-' || (uint8_t)(c - '0') <= 9)) {
		decimal d;
		if (!j->fits || !read_decimal(field, &d)) return DOUBT;
		order = compare_decimals(&d, &j->number);
		return j->holds >> (order + 1) & 1;
	}
	if (c == '"') {
		field.p++, field.n -= 2;
		if (MILLRUN__RARE(has_backslash(field))) return DOUBT;
	}
	if (j->op == CONTAINS) return millrun_find(field, j->value) >= 0;
	if (j->op == PREFIX) return millrun_has_prefix(field, j->value);
	if (j->holds == 2 || j->holds == 5) return millrun_equals(field, j->value) == (j->holds == 2);
	order = millrun_compare(field, j->value);
	return j->holds >> (order < 0 ? 0 : order > 0 ? 2 : 1) & 1;
}

/* bare is where the number or word ends that begins at p, or NULL; it may lie behind the end. */
MILLRUN__IN const uint8_t *bare(const uint8_t *p, const uint8_t *end) {
	if (MILLRUN__LIKELY((uint8_t)(*p - '1') <= 8)) {
		const uint8_t *to = p + digits_at(p);
		if (*to == '.') {
			const uint32_t part = digits_at(to + 1);
			if (part == 0) return NULL;
			to += 1 + part;
		}
		const uint8_t c = *to; /* a digit, where there were more than 16 */
		if (MILLRUN__LIKELY((c | 32) != 'e' && (uint8_t)(c - '0') > 9 && c != '.')) return to;
	}
	uint32_t next = millrun__load32(p);
	return millrun__bare(p, end, &next);
}

/* fits finds the field of a text that has the layout; false if it has another, or is no JSON. */
MILLRUN__IN bool fits(const layout *l, millrun_bytes text, millrun_bytes *field) {
	const uint8_t *p = text.p, *const end = p + text.n, *piece = l->pieces;
	for (uint32_t i = 0;; i++) {
		const uint32_t part = l->parts[i], size = part & (IS_STRING - 1);
		if ((int32_t)size > end - p || !millrun__same(p, piece, size)) return false;
		p += size;
		if (i == l->values) return p == end;
		piece += (size + 15) & ~15u;
		const uint8_t *from = p;
		uint32_t quote = 0;
		if ((part & IS_STRING) != 0) {
			bool escaped = false;
			p = millrun__string(p, end, &escaped);
			quote = 1;
		} else {
			p = bare(p, end);
		}
		if (MILLRUN__RARE(p == NULL)) return false;
		if (i == l->field) *field = (millrun_bytes){from - quote, (uint32_t)(p - from) + 2 * quote};
	}
}

/* keep_piece adds the bytes up to `to` to the layout, if there is room. */
MILLRUN__IN bool keep_piece(layout *l, uint32_t n, uint32_t *used, const uint8_t *from, const uint8_t *to, uint32_t kind) {
	const uint32_t size = (uint32_t)(to - from), room = (size + 15) & ~15u;
	if (n > LAYOUT_VALUES || room > LAYOUT_BYTES - *used) return false;
	for (uint32_t at = 0; at < size; at += 16) wasm_v128_store(l->pieces + *used + at, wasm_v128_load(from + at));
	*used += room;
	l->parts[n] = size | kind;
	return true;
}

/* learn takes the layout of a text that is JSON and whose field is known. It leaves none if the field is an array or an
   object, or the text a large one. */
MILLRUN__IN void learn(layout *l, millrun_bytes text, millrun_bytes field) {
	const uint8_t *p = text.p, *from = p, *const end = p + text.n;
	uint32_t n = 0, used = 0, found = 0;
	l->values = 0, l->hits = 0, l->misses = 0;
	while (p < end) {
		const uint8_t *const value = p;
		const uint8_t c = *p;
		if (c == '"') {
			bool escaped = false;
			const uint8_t *close = millrun__string(p + 1, end, &escaped);
			if (close == NULL) return;
			p = close + 1;
			const uint8_t *after = p;
			while (after < end && *after <= ' ') after++;
			if (after < end && *after == ':') continue; /* a key is a part of its piece */
			if (!keep_piece(l, n, &used, from, value + 1, IS_STRING)) return;
			from = close;
		} else if (c == '-' || (uint8_t)(c - '0') <= 9 || (uint8_t)(c - 'a') < 26) {
			p = bare(p, end);
			if (p == NULL || !keep_piece(l, n, &used, from, value, 0)) return;
			from = p;
		} else {
			p++;
			continue;
		}
		if (value == field.p) l->field = n, found = 1;
		n++;
	}
	if (found && keep_piece(l, n, &used, from, end, 0)) l->values = n;
}

/* field_of finds the field, by the layout or else by parsing. */
MILLRUN__IN millrun_bytes field_of(const job *j, millrun_bytes text, bool *unsure) {
	layout *const l = j->layout;
	millrun_bytes field;
	if (MILLRUN__LIKELY(l->values != 0) && MILLRUN__LIKELY(fits(l, text, &field))) {
		l->hits++;
		return field;
	}
	field = millrun__lookup(j->scratch, text, j->path, unsure);
	if (field.p == NULL || *unsure || l->misses++ < l->patience) return field;
	/* Where layouts change all the time they are taken more and more rarely. */
	l->patience = l->hits >= 16 ? 0 : l->patience < 128 ? 2 * l->patience + 1 : 255;
	learn(l, text, field);
	return field;
}

/* scan sets the bits of the records that go on, and is the number of those in doubt; -1 if the records are not such. */
__attribute__((export_name("scan"))) int32_t scan(const job *j) {
	const uint8_t *p = j->records, *const end = p + j->size;
	uint32_t doubts = 0, bits = 0;
	uint8_t *to = j->bits;
	for (uint32_t i = 0; i < j->n; i++) {
		if (MILLRUN__RARE(p >= end)) return -1;
		const uint8_t *at = p;
		int64_t size = millrun__varint(&at);
		if (MILLRUN__RARE(size < 0 || size > end - at)) return -1;
		p = at + size;
		at++; /* attributes */
		millrun__skip_varint(&at); /* timestamp */
		millrun__skip_varint(&at); /* offset */
		size = millrun__varint(&at);
		if (size > 0) {
			if (MILLRUN__RARE(size > p - at)) return -1;
			at += size;
		}
		size = millrun__varint(&at);
		uint32_t verdict = NO, is_field = 0;
		millrun_bytes found = {at, (uint32_t)size};
		if (MILLRUN__LIKELY(size >= 0)) {
			if (MILLRUN__RARE(size > p - at)) return -1;
			if (j->op == TEXT) {
				verdict = millrun_find(found, j->value) >= 0;
			} else {
				bool unsure = false;
				const millrun_bytes field = field_of(j, found, &unsure);
				if (MILLRUN__RARE(unsure)) verdict = DOUBT;
				else if (field.p != NULL) {
					verdict = judge(j, field);
					if (MILLRUN__RARE(verdict == DOUBT)) found = field, is_field = 1;
				}
			}
		}
		if (MILLRUN__RARE(verdict == DOUBT)) j->doubts[doubts++] = (doubt){i, found, is_field};
		else bits |= (verdict ^ j->invert) << (i & 7);
		if ((i & 7) == 7) *to++ = (uint8_t)bits, bits = 0;
	}
	if ((j->n & 7) != 0) *to = (uint8_t)bits;
	return (int32_t)doubts;
}
