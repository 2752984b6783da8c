/* millrun.h: what a millrun module in C includes. Freestanding C11 (and GNU's attributes), no libc, one header.

	#include "millrun.h"

	static bool keep(const millrun_record *r) { return millrun_contains(r->value, MILLRUN_TEXT("ERROR")); }

	MILLRUN_FILTER(MILLRUN_VALUE, NULL, keep)

   is built by

	python3 -m ziglang cc -target wasm32-freestanding -O3 -msimd128 -mbulk-memory -nostdlib -Wl,--no-entry \
		-Wl,-z,stack-size=65536 -s -o module.wasm module.c

   (PyPI's ziglang 0.13.0), or by clang with wasm-ld and the same flags (--target=wasm32).

   A filter says which records go on; a transform (MILLRUN_TRANSFORM) makes any number of records of each, for any of the
   deployment's outputs. Records come a batch at a time and in order. What a record holds is a view of the batch: it is gone
   when the function returns. Nothing is promised between calls: a module may be stopped and started at any time, and run in
   several places at once.

   The host has checked the rows that it hands over; they are read without looking twice. The lengths in stored records
   (MILLRUN_RAW) are checked, as they come from whoever produced them. Memory comes from a bump allocator
   (millrun_new) and is never given back. At least MILLRUN_SLACK bytes after any of it may be read, whatever they hold: the
   helpers load 16 bytes at once. They must not be given memory whose end is the end of linear memory otherwise. */
#ifndef MILLRUN_H
#define MILLRUN_H

#if !defined(__wasm_simd128__) || !defined(__wasm_bulk_memory__)
#error "millrun.h needs -msimd128 and -mbulk-memory"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

/* ---- Bytes ---- */

/* millrun_bytes is a piece of memory. p is NULL for null; what is empty has a p. */
typedef struct {
	const uint8_t *p;
	uint32_t n;
} millrun_bytes;

/* MILLRUN_TEXT is a string literal as bytes. */
#define MILLRUN_TEXT(literal) ((millrun_bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})

static const millrun_bytes MILLRUN_NULL = {0, 0};

#define MILLRUN_SLACK 64
#define MILLRUN__IN static inline __attribute__((always_inline, unused))
#ifndef MILLRUN__OUT
#define MILLRUN__OUT static __attribute__((noinline, unused))
#endif
#define MILLRUN__LIKELY(x) __builtin_expect(!!(x), 1)
#define MILLRUN__RARE(x) __builtin_expect(!!(x), 0)

/* millrun_text is a C string as bytes. */
MILLRUN__IN millrun_bytes millrun_text(const char *s) {
	uint32_t n = 0;
	while (s[n]) n++;
	return (millrun_bytes){(const uint8_t *)s, n};
}

MILLRUN__IN uint32_t millrun__load32(const uint8_t *p) { uint32_t v; __builtin_memcpy(&v, p, 4); return v; }
MILLRUN__IN uint64_t millrun__load64(const uint8_t *p) { uint64_t v; __builtin_memcpy(&v, p, 8); return v; }

/* Linkers without a libc still get these asked of them. */
#ifndef MILLRUN_NO_LIBC_FUNCTIONS
__attribute__((weak)) void *memcpy(void *restrict to, const void *restrict from, size_t n) { return __builtin_memcpy(to, from, n); }
__attribute__((weak)) void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
__attribute__((weak)) void *memset(void *p, int c, size_t n) { return __builtin_memset(p, c, n); }
#endif

/* ---- SIMD helpers ---- */

/* millrun__same compares n bytes. */
MILLRUN__IN bool millrun__same(const uint8_t *a, const uint8_t *b, uint32_t n) {
	while (n > 16) {
		if (wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b))) != 0xffff) return false;
		a += 16, b += 16, n -= 16;
	}
	uint32_t mask = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b)));
	return (mask | 0xffffffffu << n) == 0xffffffffu;
}

/* millrun_equals tells whether two pieces hold the same bytes; null and empty are the same. */
MILLRUN__IN bool millrun_equals(millrun_bytes a, millrun_bytes b) { return a.n == b.n && (a.n == 0 || millrun__same(a.p, b.p, a.n)); }

/* millrun_has_prefix tells whether b begins with prefix. */
MILLRUN__IN bool millrun_has_prefix(millrun_bytes b, millrun_bytes prefix) {
	return prefix.n <= b.n && (prefix.n == 0 || millrun__same(b.p, prefix.p, prefix.n));
}

/* millrun_find is where needle first lies in b, or -1. An empty needle lies at 0. */
MILLRUN__IN int32_t millrun_find(millrun_bytes b, millrun_bytes needle) {
	if (needle.n == 0) return 0;
	if (needle.n > b.n) return -1;
	const v128_t first = wasm_u8x16_splat(needle.p[0]), last = wasm_u8x16_splat(needle.p[needle.n - 1]);
	const uint32_t places = b.n - needle.n + 1;
	for (uint32_t at = 0; at < places; at += 64) {
		const uint8_t *p = b.p + at;
		v128_t hits[4], any;
		for (int i = 0; i < 4; i++) hits[i] = wasm_i8x16_eq(first, wasm_v128_load(p + 16 * i));
		any = wasm_v128_or(wasm_v128_or(hits[0], hits[1]), wasm_v128_or(hits[2], hits[3]));
		if (MILLRUN__LIKELY(!wasm_v128_any_true(any))) continue;
		p += needle.n - 1;
		uint64_t mask = 0;
		for (int i = 0; i < 4; i++) {
			hits[i] = wasm_v128_and(hits[i], wasm_i8x16_eq(last, wasm_v128_load(p + 16 * i)));
			mask |= (uint64_t)wasm_i8x16_bitmask(hits[i]) << 16 * i;
		}
		for (; mask != 0; mask &= mask - 1) {
			uint32_t place = at + (uint32_t)__builtin_ctzll(mask);
			if (place >= places) break;
			if (millrun__same(b.p + place, needle.p, needle.n)) return (int32_t)place;
		}
	}
	return -1;
}

/* millrun_contains tells whether needle lies in b. Null contains nothing. */
MILLRUN__IN bool millrun_contains(millrun_bytes b, millrun_bytes needle) { return b.p != NULL && millrun_find(b, needle) >= 0; }

/* millrun_compare orders by bytes: below 0, 0 or above. */
MILLRUN__IN int32_t millrun_compare(millrun_bytes a, millrun_bytes b) {
	uint32_t n = a.n < b.n ? a.n : b.n;
	for (uint32_t at = 0; at < n; at += 16) {
		uint32_t differ = wasm_i8x16_bitmask(wasm_i8x16_ne(wasm_v128_load(a.p + at), wasm_v128_load(b.p + at)));
		if (differ == 0) continue;
		uint32_t place = at + (uint32_t)__builtin_ctz(differ);
		if (place >= n) break;
		return (int32_t)a.p[place] - (int32_t)b.p[place];
	}
	return a.n < b.n ? -1 : a.n > b.n;
}

/* ---- Memory ---- */

extern uint8_t __heap_base;

static struct { uintptr_t at, end, last; } millrun__arena;

/* millrun_new is n bytes aligned to 16, for as long as the instance lives; NULL if there is no more memory. */
MILLRUN__OUT void *millrun_new(uint32_t n) {
	if (millrun__arena.at == 0) {
		millrun__arena.at = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
		millrun__arena.end = (uintptr_t)__builtin_wasm_memory_size(0) << 16;
	}
	uint64_t need = (uint64_t)millrun__arena.at + (((uint64_t)n + 15) & ~15ull) + MILLRUN_SLACK;
	if (need > UINT32_MAX) return NULL;
	if (need > millrun__arena.end) {
		uint32_t pages = (uint32_t)((need - millrun__arena.end + 65535) >> 16);
		if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1) return NULL;
		millrun__arena.end += (uintptr_t)pages << 16;
	}
	millrun__arena.last = millrun__arena.at;
	millrun__arena.at = (uintptr_t)need - MILLRUN_SLACK;
	return (void *)millrun__arena.last;
}

/* millrun__buffer is memory that grows, by at least half: in its place if nothing was taken after it. */
typedef struct {
	uint8_t *p;
	uint32_t n, room;
} millrun__buffer;

MILLRUN__OUT bool millrun__grow(millrun__buffer *b, uint32_t room, bool copy) {
	if (room > INT32_MAX) return false;
	uint32_t more = b->room + b->room / 2;
	if (more < room) more = room;
	if (more < 4096) more = 4096;
	const uintptr_t at = millrun__arena.at;
	if (b->p != NULL && (uintptr_t)b->p == millrun__arena.last) millrun__arena.at = millrun__arena.last;
	uint8_t *p = millrun_new(more);
	if (p == NULL) {
		millrun__arena.at = at;
		return false;
	}
	if (copy && p != b->p && b->n > 0) __builtin_memcpy(p, b->p, b->n);
	b->p = p, b->room = more;
	return true;
}

/* millrun__more is room for n bytes more at the end of a buffer, NULL if there is none. */
MILLRUN__IN uint8_t *millrun__more(millrun__buffer *b, uint32_t n) {
	if (MILLRUN__RARE(n > b->room - b->n) && (n > INT32_MAX || !millrun__grow(b, b->n + n, true))) return NULL;
	uint8_t *at = b->p + b->n;
	b->n += n;
	return at;
}

/* ---- The host ---- */

enum { MILLRUN_DEBUG = 0, MILLRUN_INFO = 1, MILLRUN_WARN = 2, MILLRUN_ERROR = 3 };

#define MILLRUN__IMPORT(name) __attribute__((import_module("millrun"), import_name(name)))
MILLRUN__IMPORT("log") void millrun__log(int32_t level, const void *p, uint32_t n);
MILLRUN__IMPORT("context") uint32_t millrun__context(void *p, uint32_t room);

/* millrun_log writes a line to the deployment's log (millrun wasm logs NAME). */
MILLRUN__IN void millrun_log(int32_t level, millrun_bytes message) { millrun__log(level, message.p, message.n); }

/* millrun_refuse logs why and is false: return it from configure, keep or map. */
MILLRUN__IN bool millrun_refuse(millrun_bytes reason) {
	millrun_log(MILLRUN_ERROR, reason);
	return false;
}

/* millrun_call says where the records of the current call come from. */
typedef struct {
	int32_t partition;
	int64_t base_offset, base_timestamp; /* ms */
	millrun_bytes topic;                 /* valid until the next look */
} millrun_call;

/* millrun_current asks the host for the current call. All is 0 while a module is configured. */
MILLRUN__OUT millrun_call millrun_current(void) {
	static uint8_t buffer[26 + 65535 + MILLRUN_SLACK]; /* what a name can have */
	millrun_call c = {0, 0, 0, {buffer, 0}};
	uint32_t size = millrun__context(buffer, sizeof buffer);
	if (size < 26 || size > sizeof buffer) return c;
	c.partition = (int32_t)millrun__load32(buffer + 4);
	c.base_offset = (int64_t)millrun__load64(buffer + 8);
	c.base_timestamp = (int64_t)millrun__load64(buffer + 16);
	c.topic = (millrun_bytes){buffer + 26, (uint32_t)buffer[24] | (uint32_t)buffer[25] << 8};
	return c;
}

/* ---- JSON ---- */

/* A path leads to a value inside a JSON text: "customer.addresses.0.city". A part made of digits is a key of an object and
   the index of an array. */
typedef struct {
	millrun_bytes key;
	int32_t index; /* -1: not an index */
} millrun_step;

typedef struct {
	const millrun_step *steps;
	uint32_t n;
} millrun_path;

enum { MILLRUN_JSON_DEPTH = 1000 }; /* deeper text is taken for no JSON */

/* millrun__json is the memory of one search. */
typedef struct {
	uint64_t objects[MILLRUN_JSON_DEPTH / 64 + 1];
	int32_t index[MILLRUN_JSON_DEPTH + 1];
	/* What changes rarely is kept out of the loop's variables, which cost something at each of its turns. */
	volatile uint32_t on;     /* of the arrays and objects that are open so many, the outermost, lie on the path */
	volatile uint32_t target; /* the number of the one that is what the path leads to */
	const uint8_t *volatile start, *volatile found, *volatile found_end;
} millrun__json;

MILLRUN__IN const uint8_t *millrun__blank(const uint8_t *p, const uint8_t *end) {
	if (MILLRUN__LIKELY(*p > ' ')) return p;
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
	return p;
}

MILLRUN__IN bool millrun__hex(uint8_t c) { return (uint8_t)(c - '0') <= 9 || (uint8_t)((c | 32) - 'a') <= 5; }

/* millrun__quotes has a bit for each of 16 bytes that is a quote, and in *others for those that are nothing plain either. */
MILLRUN__IN uint32_t millrun__quotes(const uint8_t *p, uint32_t *others) {
	v128_t x = wasm_v128_load(p), control = wasm_i8x16_eq(wasm_u8x16_sub_sat(x, wasm_u8x16_splat(0x1f)), wasm_u8x16_splat(0));
	*others = wasm_i8x16_bitmask(wasm_v128_or(control, wasm_i8x16_eq(x, wasm_u8x16_splat('\\'))));
	return wasm_i8x16_bitmask(wasm_i8x16_eq(x, wasm_u8x16_splat('"')));
}

/* millrun__long_string is millrun__string for what has more than 16 bytes, or escapes. */
MILLRUN__OUT const uint8_t *millrun__long_string(const uint8_t *p, const uint8_t *end, bool *escaped) {
	for (;;) {
		if (MILLRUN__RARE(p >= end)) return NULL;
		uint32_t low, high, mask = millrun__quotes(p, &low) | millrun__quotes(p + 16, &high) << 16;
		mask |= low | high << 16;
		if (mask == 0) {
			p += 32;
			continue;
		}
		p += __builtin_ctz(mask);
		if (MILLRUN__LIKELY(*p == '"')) return p < end ? p : NULL;
		if (*p != '\\') return NULL;
		*escaped = true;
		switch (p[1]) {
		case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
			p += 2;
			break;
		case 'u':
			if (!millrun__hex(p[2]) || !millrun__hex(p[3]) || !millrun__hex(p[4]) || !millrun__hex(p[5])) return NULL;
			p += 6;
			break;
		default:
			return NULL;
		}
	}
}

/* millrun__string is where the closing quote is of the string whose content begins at p, or NULL. Of short ones it is not known
   whether they end inside of the text. */
MILLRUN__IN const uint8_t *millrun__string(const uint8_t *p, const uint8_t *end, bool *escaped) {
	uint32_t others, quotes = millrun__quotes(p, &others);
	/* Where it ends depends on the quotes alone: what else there is is looked at beside the way on. */
	if (MILLRUN__LIKELY(((quotes ^ (quotes - 1)) & (others | 1 << 16)) == 0)) return p + __builtin_ctz(quotes);
	__asm__("" : "+r"(p)); /* it reads them again: kept, they would have to be kept for every string */
	return millrun__long_string(p, end, escaped);
}

/* millrun__digit_mask has a bit for each of 16 bytes that is a digit. */
MILLRUN__IN uint32_t millrun__digit_mask(const uint8_t *p) {
	v128_t x = wasm_i8x16_sub(wasm_v128_load(p), wasm_u8x16_splat('0'));
	return wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_u8x16_sub_sat(x, wasm_u8x16_splat(9)), wasm_u8x16_splat(0)));
}

/* millrun__digits is where the digits end that begin at p. */
MILLRUN__IN const uint8_t *millrun__digits(const uint8_t *p, const uint8_t *end) {
	for (;;) {
		const uint32_t mask = millrun__digit_mask(p);
		if (MILLRUN__LIKELY(mask != 0xffff)) {
			p += __builtin_ctz(~mask);
			return p < end ? p : end;
		}
		p += 16;
		if (p >= end) return end;
	}
}

/* millrun__number is where the number ends that begins at p, or NULL. */
MILLRUN__IN const uint8_t *millrun__number(const uint8_t *p, const uint8_t *end) {
	if (*p == '-') p++;
	if (p >= end) return NULL;
	const uint8_t *from = p;
	p = *p == '0' ? p + 1 : millrun__digits(p, end);
	if (p == from) return NULL;
	if (p < end && *p == '.') {
		from = ++p;
		if (p >= end || (p = millrun__digits(p, end)) == from) return NULL;
	}
	if (p < end && (*p | 32) == 'e') {
		p++;
		if (p < end && (*p == '+' || *p == '-')) p++;
		from = p;
		if (p >= end || (p = millrun__digits(p, end)) == from) return NULL;
	}
	return p;
}

/* millrun__bare is where the number or word ends that begins at p, or NULL; *next is what lies there. What follows the text
   may be read, so a word may be found there: the caller looks at where it ends. */
MILLRUN__IN const uint8_t *millrun__bare(const uint8_t *p, const uint8_t *end, uint32_t *next) {
	const uint8_t c = (uint8_t)*next;
	if (MILLRUN__LIKELY((uint8_t)(c - '1') <= 8)) { /* most numbers are whole and short */
		const uint32_t digits = millrun__digit_mask(p) + 1;
		if (MILLRUN__LIKELY(digits != 1 << 16)) {
			const uint8_t *to = p + __builtin_ctz(digits);
			*next = millrun__load32(to);
			const uint8_t after = (uint8_t)*next;
			if (MILLRUN__LIKELY(after != '.' && (after | 32) != 'e')) return to < end ? to : end;
		}
	}
	if (c == '-' || (uint8_t)(c - '0') <= 9) {
		p = millrun__number(p, end);
	} else {
		const uint32_t word = millrun__load32(p);
		if (word == 0x65757274 /* true */ || word == 0x6c6c756e /* null */) p += 4;
		else if (word == 0x736c6166 /* fals */ && p[4] == 'e') p += 5;
		else return NULL;
	}
	if (p != NULL) *next = millrun__load32(p);
	return p;
}

MILLRUN__IN int32_t millrun__hex4(const uint8_t *p) {
	int32_t r = 0;
	for (int i = 0; i < 4; i++) r = r << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
	return r;
}

/* millrun__utf8 writes a character and is behind it. */
MILLRUN__IN uint8_t *millrun__utf8(uint8_t *to, uint32_t r) {
	if (r < 0x80) { *to++ = (uint8_t)r; return to; }
	if (r < 0x800) { *to++ = (uint8_t)(0xc0 | r >> 6); }
	else {
		if (r < 0x10000) *to++ = (uint8_t)(0xe0 | r >> 12);
		else { *to++ = (uint8_t)(0xf0 | r >> 18); *to++ = (uint8_t)(0x80 | (r >> 12 & 63)); }
		*to++ = (uint8_t)(0x80 | (r >> 6 & 63));
	}
	*to++ = (uint8_t)(0x80 | (r & 63));
	return to;
}

/* millrun__unescape writes what lies between a string's quotes to `to`, which has as much room, and is behind it. Half of a
   surrogate pair becomes U+FFFD. */
MILLRUN__OUT uint8_t *millrun__unescape(uint8_t *to, const uint8_t *p, const uint8_t *end) {
	while (p < end) {
		if (*p != '\\') { *to++ = *p++; continue; }
		uint8_t c = p[1];
		p += 2;
		if (c != 'u') {
			*to++ = c == 'b' ? '\b' : c == 'f' ? '\f' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
			continue;
		}
		uint32_t r = (uint32_t)millrun__hex4(p);
		p += 4;
		if (r >= 0xd800 && r < 0xe000) {
			uint32_t low = 0;
			if (r < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') low = (uint32_t)millrun__hex4(p + 2);
			if (low >= 0xdc00 && low < 0xe000) r = 0x10000 + ((r - 0xd800) << 10 | (low - 0xdc00)), p += 6;
			else r = 0xfffd;
		}
		to = millrun__utf8(to, r);
	}
	return to;
}

/* millrun__key compares a key as it stands in the text. */
MILLRUN__OUT bool millrun__escaped_key(const uint8_t *p, uint32_t n, millrun_bytes key) {
	if (n > 6 * (uint64_t)key.n) return false;
	static millrun__buffer scratch;
	if (n > scratch.room && !millrun__grow(&scratch, n, false)) __builtin_trap();
	uint32_t size = (uint32_t)(millrun__unescape(scratch.p, p, p + n) - scratch.p);
	return millrun_equals((millrun_bytes){scratch.p, size}, key);
}

/* millrun__token steps over blanks before *p; the low byte of *next is what lies there. */
MILLRUN__IN void millrun__token(const uint8_t **p, uint32_t *next, const uint8_t *end) {
	if (MILLRUN__LIKELY((uint8_t)*next > ' ')) return;
	*p = millrun__blank(*p, end);
	*next = millrun__load32(*p);
}

/* millrun__lookup finds the value at the path, as it stands in the text; null if there is none or if the text, anywhere, is
   no JSON (RFC 8259; bytes above 127 are not checked). Of a key that an object holds twice the last counts. It may read
   MILLRUN_SLACK bytes behind the text. If unsure is not NULL, a key with escapes on the way sets it and is taken for another. */
MILLRUN__IN millrun_bytes millrun__lookup(millrun__json *s, millrun_bytes text, millrun_path path, bool *unsure) {
	const uint8_t *p = text.p, *const end = p + text.n;
	uint32_t open = 0;              /* arrays and objects that are open */
	uint64_t objects = 0;           /* a bit for each that is open, the innermost lowest: it is an object */
	const millrun_step *step = NULL; /* what to look for in the innermost; NULL: it does not lie on the path */
	bool hit = true;                /* the value at p lies on the path */
	if (text.n == 0) return MILLRUN_NULL;
	s->on = 0, s->target = 0, s->found = NULL;
	uint32_t next = millrun__load32(p); /* what lies at p: each turn looks at two bytes of it at most before it is read anew */
	millrun__token(&p, &next, end);
	for (;;) {
		if (MILLRUN__RARE(p >= end)) return MILLRUN_NULL;
		const uint8_t c = (uint8_t)next;
		bool final = false, escaped = false;
		if (MILLRUN__RARE(hit) && open == path.n) final = true, s->start = p;
		if (c == '"') {
			p = millrun__string(p + 1, end, &escaped);
			if (MILLRUN__RARE(p == NULL)) return MILLRUN_NULL;
			next = millrun__load32(p++) >> 8;
		} else if (c == '{' || c == '[') {
			if (MILLRUN__RARE(open >= MILLRUN_JSON_DEPTH)) return MILLRUN_NULL;
			next = millrun__load32(++p);
			millrun__token(&p, &next, end);
			if (MILLRUN__RARE((uint8_t)next == c + 2)) {
				next = millrun__load32(++p);
			} else {
				if (MILLRUN__RARE((open & 63) == 0)) s->objects[open >> 6] = objects;
				open++;
				objects = objects << 1 | (c == '{');
				step = NULL;
				if (final) s->target = open;
				else if (hit) step = &path.steps[open - 1], s->on = open, s->index[open] = 0;
				if (c == '{') goto key;
				hit = step != NULL && step->index == 0;
				continue;
			}
		} else {
			p = millrun__bare(p, end, &next);
			if (MILLRUN__RARE(p == NULL)) return MILLRUN_NULL;
		}
		if (MILLRUN__RARE(final)) s->found = s->start, s->found_end = p;
	after:
		if (MILLRUN__LIKELY(open > 0 && (uint8_t)next == ',')) goto comma; /* not through the loop: that is metered */
		for (;;) {
			if (MILLRUN__RARE(open == 0)) {
				if (p < end) p = millrun__blank(p, end);
				if (p != end || s->found == NULL) return MILLRUN_NULL;
				return (millrun_bytes){s->found, (uint32_t)(s->found_end - s->found)};
			}
			if (MILLRUN__RARE(p >= end)) return MILLRUN_NULL;
			millrun__token(&p, &next, end);
			if ((uint8_t)next == ',') break;
			if (MILLRUN__RARE((uint8_t)next != (objects & 1 ? '}' : ']'))) return MILLRUN_NULL;
			next = millrun__load32(++p);
			if (open == s->target) s->found = s->start, s->found_end = p, s->target = 0;
			if (step != NULL) s->on = open - 1;
			open--;
			objects >>= 1;
			if (MILLRUN__RARE((open & 63) == 0)) objects = s->objects[open >> 6];
			step = open > 0 && s->on == open ? &path.steps[open - 1] : NULL;
		}
	comma:
		p++, next >>= 8;
		millrun__token(&p, &next, end);
		if (MILLRUN__RARE((objects & 1) == 0)) {
			hit = step != NULL && step->index == ++s->index[open];
			continue;
		}
	key:
		/* Keys with short strings after them are taken several in one turn: each turn is metered, and keeps its state in memory. */
#pragma clang loop unroll(full)
		for (int turn = 0; turn < 4; turn++) {
			if (MILLRUN__RARE((uint8_t)next != '"' || p >= end)) return MILLRUN_NULL;
			const uint8_t *name = p + 1;
			escaped = false;
			p = millrun__string(name, end, &escaped);
			if (MILLRUN__RARE(p == NULL)) return MILLRUN_NULL;
			const uint32_t size = (uint32_t)(p - name);
			next = millrun__load32(p++) >> 8;
			millrun__token(&p, &next, end);
			if (MILLRUN__RARE((uint8_t)next != ':')) return MILLRUN_NULL;
			p++, next >>= 8;
			millrun__token(&p, &next, end);
			hit = false;
			if (step != NULL) {
				if (MILLRUN__LIKELY(!escaped)) hit = size == step->key.n && millrun__same(name, step->key.p, size);
				else if (unsure != NULL) *unsure = true;
				else hit = millrun__escaped_key(name, size, step->key);
				if (MILLRUN__RARE(hit)) {
					s->found = NULL;
					break;
				}
			}
			if (turn == 3) break;
			if ((uint8_t)next == '"') {
				uint32_t others, quotes = millrun__quotes(p + 1, &others);
				if (((quotes ^ (quotes - 1)) & (others | 1 << 16)) != 0) break;
				const uint8_t *to = p + 1 + __builtin_ctz(quotes);
				next = millrun__load32(to);
				if ((next & 0xffffff) != ('"' | ',' << 8 | '"' << 16)) {
					p = to + 1, next >>= 8;
					goto after;
				}
				p = to + 2, next >>= 16;
			} else if ((uint8_t)((uint8_t)next - '1') <= 8) {
				const uint8_t *to = p + __builtin_ctz(millrun__digit_mask(p) + 1);
				next = millrun__load32(to);
				if ((uint8_t)next == '.') {
					const uint32_t part = millrun__digit_mask(to + 1) + 1;
					if ((part & 1) != 0) return MILLRUN_NULL; /* no digit behind the point */
					to += 1 + __builtin_ctz(part);
					next = millrun__load32(to);
				}
				if ((next & 0xffff) != (',' | '"' << 8)) {
					next = millrun__load32(p);
					break;
				}
				p = to + 1, next >>= 8;
			} else {
				break;
			}
		}
	}
}

/* millrun_json_field finds the value at the path as it stands in the text: with its quotes and escapes, if it is a string.
   Null if there is none, or if the text, anywhere, is no JSON. Of a key that comes twice the last counts. */
MILLRUN__OUT millrun_bytes millrun_json_field(millrun_bytes text, millrun_path path) {
	static millrun__json scratch;
	return millrun__lookup(&scratch, text, path, NULL);
}

/* millrun_json_text is what a value says: a string's content without its quotes and escapes, anything else as it stands. It
   is valid until the next call. */
MILLRUN__OUT millrun_bytes millrun_json_text(millrun_bytes value) {
	if (value.n < 2 || value.p[0] != '"') return value;
	millrun_bytes inside = {value.p + 1, value.n - 2};
	if (millrun_find(inside, MILLRUN_TEXT("\\")) < 0) return inside;
	static millrun__buffer scratch;
	if (inside.n > scratch.room && !millrun__grow(&scratch, inside.n, false)) __builtin_trap();
	return (millrun_bytes){scratch.p, (uint32_t)(millrun__unescape(scratch.p, inside.p, inside.p + inside.n) - scratch.p)};
}

/* millrun_path_of reads a dotted path; n is 0 if it is empty, has an empty part or too many. The text must stay. */
MILLRUN__OUT millrun_path millrun_path_of(millrun_bytes dotted) {
	const millrun_path none = {NULL, 0};
	uint32_t n = 1;
	for (uint32_t i = 0; i < dotted.n; i++) n += dotted.p[i] == '.';
	if (n > MILLRUN_JSON_DEPTH) return none;
	millrun_step *steps = millrun_new(n * (uint32_t)sizeof(millrun_step));
	if (steps == NULL) return none;
	const uint8_t *p = dotted.p, *end = p + dotted.n;
	for (uint32_t i = 0; i < n; i++, p++) {
		const uint8_t *from = p;
		int32_t index = 0;
		for (; p < end && *p != '.'; p++) {
			bool digit = (uint8_t)(*p - '0') <= 9;
			index = !digit || index < 0 || index > 1 << 24 || (p > from && index == 0) ? -1 : index * 10 + (*p - '0');
		}
		if (p == from) return none;
		steps[i] = (millrun_step){{from, (uint32_t)(p - from)}, index};
	}
	return (millrun_path){steps, n};
}

/* ---- The configuration ---- */

typedef struct {
	millrun_bytes key, value;
} millrun_setting;

/* millrun_config is what the deployment was given with --config. It stays for as long as the instance lives. */
typedef struct {
	const millrun_setting *settings;
	uint32_t n;
} millrun_config;

/* millrun_config_get is the value of a key, null if it was not given. */
MILLRUN__IN millrun_bytes millrun_config_get(const millrun_config *c, const char *key) {
	millrun_bytes want = millrun_text(key);
	for (uint32_t i = 0; i < c->n; i++)
		if (millrun_equals(c->settings[i].key, want)) return c->settings[i].value;
	return MILLRUN_NULL;
}

/* millrun_config_only refuses keys that are not among those named (their last is NULL). It logs which. */
MILLRUN__OUT bool millrun_config_only(const millrun_config *c, const char *const *keys) {
	for (uint32_t i = 0; i < c->n; i++) {
		millrun_bytes key = c->settings[i].key;
		bool known = false;
		for (uint32_t k = 0; keys[k] != NULL; k++) known = known || millrun_equals(key, millrun_text(keys[k]));
		if (known) continue;
		static millrun__buffer line;
		line.n = 0;
		millrun_bytes parts[2] = {MILLRUN_TEXT("unknown key \""), key};
		for (uint32_t k = 0; k < 2; k++) {
			uint8_t *to = millrun__more(&line, parts[k].n);
			if (to != NULL) __builtin_memcpy(to, parts[k].p, parts[k].n);
		}
		for (uint32_t k = 0; k == 0 || keys[k] != NULL; k++) {
			millrun_bytes before = k == 0 ? MILLRUN_TEXT("\" (known: ") : MILLRUN_TEXT(", "), name = keys[k] ? millrun_text(keys[k]) : MILLRUN_TEXT("none");
			uint8_t *to = millrun__more(&line, before.n + name.n);
			if (to != NULL) __builtin_memcpy(to, before.p, before.n), __builtin_memcpy(to + before.n, name.p, name.n);
			if (keys[k] == NULL) break;
		}
		uint8_t *to = millrun__more(&line, 1);
		if (to != NULL) *to = ')';
		return millrun_refuse((millrun_bytes){line.p, line.n});
	}
	return true;
}

/* millrun__setting reads a string of the configuration at *p into *out, unescaped. */
MILLRUN__OUT bool millrun__setting(const uint8_t **p, const uint8_t *end, millrun_bytes *out) {
	bool escaped = false;
	if (*p >= end || **p != '"') return false;
	const uint8_t *from = *p + 1, *to = millrun__string(from, end, &escaped);
	if (to == NULL || to >= end) return false;
	uint8_t *copy = millrun_new((uint32_t)(to - from));
	if (copy == NULL) return false;
	*out = (millrun_bytes){copy, (uint32_t)(millrun__unescape(copy, from, to) - copy)};
	*p = millrun__blank(to + 1, end);
	return true;
}

/* millrun__parse_config reads one JSON object of strings. */
MILLRUN__OUT bool millrun__parse_config(millrun_bytes text, millrun_config *c) {
	const uint8_t *p = text.p, *end = p + text.n;
	uint32_t most = 0; /* a setting has a colon at least */
	for (uint32_t i = 0; i < text.n; i++) most += p[i] == ':';
	millrun_setting *settings = millrun_new(most * (uint32_t)sizeof(millrun_setting));
	*c = (millrun_config){settings, 0};
	if (settings == NULL) return false;
	p = millrun__blank(p, end);
	if (p >= end || *p != '{') return false;
	p = millrun__blank(p + 1, end);
	if (p < end && *p == '}') return millrun__blank(p + 1, end) == end || p + 1 == end;
	for (;;) {
		if (c->n == most || !millrun__setting(&p, end, &settings[c->n].key) || p >= end || *p != ':') return false;
		p = millrun__blank(p + 1, end);
		if (!millrun__setting(&p, end, &settings[c->n].value) || p >= end) return false;
		c->n++;
		if (*p == '}') return p + 1 == end || millrun__blank(p + 1, end) == end;
		if (*p != ',') return false;
		p = millrun__blank(p + 1, end);
	}
}

/* millrun__configure is millrun_configure: 0, or 1 after a log line with the reason. Without a function every key is refused. */
MILLRUN__IN int32_t millrun__configure(const uint8_t *p, uint32_t n, bool (*configure)(const millrun_config *)) {
	static millrun_config c;
	static const char *const none[] = {NULL};
	if (!millrun__parse_config((millrun_bytes){p, n}, &c)) {
		millrun_refuse(MILLRUN_TEXT("the configuration is no JSON object of strings"));
		return 1;
	}
	return configure != NULL ? !configure(&c) : !millrun_config_only(&c, none);
}

/* ---- Records ---- */

/* What a module wants of its records: ask for little. MILLRUN_RAW, for filters, is the batch as it is stored, nothing copied:
   records then have all but headers, with timestamps as deltas. 0 asks for nothing but offset deltas. */
enum { MILLRUN_RAW = 1, MILLRUN_KEY = 2, MILLRUN_VALUE = 4, MILLRUN_HEADERS = 8, MILLRUN_TIMESTAMP = 16, MILLRUN_ALL = 30 };

typedef struct {
	int64_t timestamp;     /* ms; -1: not asked for. With MILLRUN_RAW: counted from the call's base_timestamp */
	uint32_t offset_delta; /* its offset is millrun_current().base_offset + offset_delta */
	millrun_bytes key, value;
	millrun_bytes headers; /* u32 count, then the headers; null if not asked for. See millrun_header_at */
} millrun_record;

MILLRUN__OUT int64_t millrun__long_varint(const uint8_t **p) {
	const uint8_t *at = *p;
	uint64_t u = 0;
	for (uint32_t shift = 0; shift < 64; shift += 7) {
		u |= (uint64_t)(*at & 0x7f) << shift;
		if (*at++ < 0x80) break;
	}
	*p = at;
	return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

/* millrun__varint reads a zigzag varint and moves *p behind it. */
MILLRUN__IN int64_t millrun__varint(const uint8_t **p) {
	const uint8_t *at = *p;
	uint64_t u = at[0];
	if (MILLRUN__LIKELY(u < 0x80)) {
		*p = at + 1;
		return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
	}
	if (MILLRUN__LIKELY(at[1] < 0x80)) {
		u = (u & 0x7f) | (uint64_t)at[1] << 7;
		*p = at + 2;
		return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
	}
	return millrun__long_varint(p);
}

/* millrun__skip_varint moves *p behind a varint of which nobody wants the value. */
MILLRUN__IN void millrun__skip_varint(const uint8_t **p) {
	const uint8_t *at = *p;
	if (MILLRUN__RARE(*at++ >= 0x80))
		while (*at++ >= 0x80) {}
	*p = at;
}

/* millrun__length reads a zigzag varint that is a length, and moves *p behind it: what is longer than memory becomes the longest. */
MILLRUN__IN int32_t millrun__length(const uint8_t **p) {
	const uint8_t *at = *p;
	uint32_t u = at[0];
	if (MILLRUN__LIKELY(u < 0x80)) {
		*p = at + 1;
	} else if (MILLRUN__LIKELY(at[1] < 0x80)) {
		u = (u & 0x7f) | (uint32_t)at[1] << 7;
		*p = at + 2;
	} else {
		const int64_t n = millrun__long_varint(p);
		return n > INT32_MAX ? INT32_MAX : n < 0 ? -1 : (int32_t)n;
	}
	return (int32_t)(u >> 1) ^ -(int32_t)(u & 1);
}

/* millrun_next_raw reads the record at *p, which moves behind it, of a batch that reaches to end: the way of a MILLRUN_RAW filter.
   False: there is no whole record, or its lengths do not fit it; *p and *r are not to be used then. */
MILLRUN__IN bool millrun_next_raw(const uint8_t **p, const uint8_t *end, millrun_record *r) {
	/* The varints of a record whose lengths lie may be read from behind the end: they are shorter than MILLRUN_SLACK. */
	const uint8_t *at = *p;
	const int32_t size = millrun__length(&at);
	if (MILLRUN__RARE((size < 0) | (size > end - at))) return false;
	const uint8_t *const next = at++ + size; /* behind the attributes */
	r->timestamp = millrun__varint(&at);
	r->offset_delta = (uint32_t)millrun__varint(&at);
	int32_t n = millrun__length(&at);
	if (MILLRUN__RARE(n > next - at)) return false;
	r->key = n < 0 ? MILLRUN_NULL : (millrun_bytes){at, (uint32_t)n};
	at += r->key.n;
	n = millrun__length(&at);
	if (MILLRUN__RARE((at > next) | (n > next - at))) return false;
	r->value = n < 0 ? MILLRUN_NULL : (millrun_bytes){at, (uint32_t)n};
	r->headers = MILLRUN_NULL;
	*p = next;
	return true;
}

/* millrun__malformed says why a filter of stored records fails. */
MILLRUN__OUT void *millrun__malformed(void) {
	millrun_log(MILLRUN_ERROR, MILLRUN_TEXT("a malformed record"));
	return NULL;
}

/* millrun_next_row reads the row at *p, which moves behind it. */
MILLRUN__IN void millrun_next_row(const uint8_t **p, millrun_record *r) {
	const uint8_t *at = *p;
	int32_t key = (int32_t)millrun__load32(at + 8), value = (int32_t)millrun__load32(at + 12), headers = (int32_t)millrun__load32(at + 16);
	r->timestamp = (int64_t)millrun__load64(at);
	r->offset_delta = millrun__load32(at + 20);
	at += 24;
	r->key = key < 0 ? MILLRUN_NULL : (millrun_bytes){at, (uint32_t)key};
	at += r->key.n;
	r->value = value < 0 ? MILLRUN_NULL : (millrun_bytes){at, (uint32_t)value};
	at += r->value.n;
	r->headers = headers < 0 ? MILLRUN_NULL : (millrun_bytes){at, (uint32_t)headers};
	*p = at + r->headers.n;
}

/* millrun_num_headers is the number of a record's headers. */
MILLRUN__IN uint32_t millrun_num_headers(const millrun_record *r) { return r->headers.n < 4 ? 0 : millrun__load32(r->headers.p); }

/* millrun_header_at reads the header at *p, which moves on to the next; begin at r->headers.p + 4. */
MILLRUN__IN void millrun_header_at(const uint8_t **p, millrun_bytes *key, millrun_bytes *value) {
	const uint8_t *at = *p;
	*key = (millrun_bytes){at + 4, millrun__load32(at)};
	at += 4 + key->n;
	int32_t n = (int32_t)millrun__load32(at);
	*value = n < 0 ? MILLRUN_NULL : (millrun_bytes){at + 4, (uint32_t)n};
	*p = at + 4 + value->n;
}

/* millrun_header finds the value of the last header with that key; false if there is none. */
MILLRUN__OUT bool millrun_header(const millrun_record *r, millrun_bytes key, millrun_bytes *value) {
	const uint8_t *p = r->headers.p + 4;
	bool found = false;
	for (uint32_t n = millrun_num_headers(r); n > 0; n--) {
		millrun_bytes k, v;
		millrun_header_at(&p, &k, &v);
		if (millrun_equals(k, key)) *value = v, found = true;
	}
	return found;
}

/* ---- Exports ---- */

#define MILLRUN_EXPORT(name) __attribute__((export_name(#name), used))

/* What every module exports. configure is NULL or static bool configure(const millrun_config *): false refuses the
   deployment, with what was logged last (millrun_refuse) as the reason. */
#define MILLRUN__COMMON(wants, configure)                                                                             \
	MILLRUN_EXPORT(millrun_abi_v1) void millrun__marker(void) {}                                                      \
	MILLRUN_EXPORT(millrun_alloc) void *millrun__alloc(uint32_t n) {                                                  \
		static millrun__buffer input;                                                                                 \
		if (n > input.room && !millrun__grow(&input, n, false)) return NULL;                                          \
		if (input.p == NULL && !millrun__grow(&input, 1, false)) return NULL;                                         \
		return input.p;                                                                                               \
	}                                                                                                                 \
	MILLRUN_EXPORT(millrun_configure) int32_t millrun__configured(const uint8_t *p, uint32_t n) {                     \
		return millrun__configure(p, n, configure);                                                                   \
	}                                                                                                                 \
	MILLRUN_EXPORT(millrun_wants) uint32_t millrun__wants(void) { return (wants); }

/* millrun__bitmap is room for a bit of each of n records. */
MILLRUN__OUT uint8_t *millrun__bitmap(uint32_t n) {
	static millrun__buffer bits;
	uint32_t size = n / 8 + 1;
	if (size > bits.room && !millrun__grow(&bits, size, false)) return NULL;
	return bits.p;
}

/* MILLRUN_FILTER makes a filter of static bool keep(const millrun_record *), which says whether a record goes on. */
#define MILLRUN_FILTER(wants, configure, keep)                                                                        \
	MILLRUN__COMMON(wants, configure)                                                                                 \
	MILLRUN_EXPORT(millrun_filter) uint8_t *millrun__filter(const uint8_t *p, uint32_t len, uint32_t n) {             \
		const uint8_t *const end = p + len;                                                                           \
		uint8_t *bits = millrun__bitmap(n), *to = bits;                                                               \
		uint32_t set = 0;                                                                                             \
		millrun_record r;                                                                                             \
		if (bits == NULL) return NULL;                                                                                \
		for (uint32_t i = 0; i < n; i++) {                                                                            \
			if ((wants) != MILLRUN_RAW) millrun_next_row(&p, &r);                                                     \
			else if (MILLRUN__RARE(!millrun_next_raw(&p, end, &r))) return millrun__malformed();                      \
			set |= (uint32_t)keep(&r) << (i & 7);                                                                     \
			if ((i & 7) == 7) *to++ = (uint8_t)set, set = 0;                                                          \
		}                                                                                                             \
		*to = (uint8_t)set;                                                                                           \
		return bits;                                                                                                  \
	}

/* MILLRUN_BATCH_FILTER makes a filter of static bool filter(const uint8_t *p, uint32_t len, uint32_t n, uint8_t *bits), which
   looks at a whole call's input (records as stored, or rows), and sets bit i%8 of byte i/8 for each record i that goes on;
   all are 0 before. False is failure: log why. */
#define MILLRUN_BATCH_FILTER(wants, configure, filter)                                                                \
	MILLRUN__COMMON(wants, configure)                                                                                 \
	MILLRUN_EXPORT(millrun_filter) uint8_t *millrun__filter(const uint8_t *p, uint32_t len, uint32_t n) {             \
		uint8_t *bits = millrun__bitmap(n);                                                                           \
		if (bits == NULL) return NULL;                                                                                \
		__builtin_memset(bits, 0, n / 8 + 1);                                                                         \
		return filter(p, len, n, bits) ? bits : NULL;                                                                 \
	}

/* ---- Transforms ---- */

/* millrun_output takes the rows that are made of one record. */
typedef struct {
	millrun__buffer rows, headers;
	const millrun_record *record;
	uint32_t source, count; /* headers of the row */
	struct {
		int64_t timestamp;
		millrun_bytes key, value;
		int32_t partition;
		uint16_t output;
		bool open, copy_key, copy_value, copy_headers;
	} row;
	bool failed; /* out of memory */
} millrun_output;

MILLRUN__OUT void millrun__finish(millrun_output *o) {
	if (!o->row.open) return;
	o->row.open = false;
	const uint32_t key = o->row.copy_key ? 0 : o->row.key.n, value = o->row.copy_value ? 0 : o->row.value.n;
	const uint32_t headers = o->row.copy_headers ? 0 : o->headers.n;
	uint8_t *p = millrun__more(&o->rows, 32);
	uint8_t *bytes = p == NULL ? NULL : millrun__more(&o->rows, key);
	bytes = bytes == NULL ? NULL : millrun__more(&o->rows, value);
	bytes = bytes == NULL ? NULL : millrun__more(&o->rows, headers);
	if (bytes == NULL) {
		o->failed = true;
		return;
	}
	p = o->rows.p + o->rows.n - headers - value - key - 32; /* it may have moved */
	const int32_t key_len = o->row.copy_key ? -2 : o->row.key.p == NULL ? -1 : (int32_t)key;
	const int32_t value_len = o->row.copy_value ? -2 : o->row.value.p == NULL ? -1 : (int32_t)value;
	const int32_t headers_len = o->row.copy_headers ? -2 : (int32_t)headers;
	const uint16_t flags = o->row.partition >= 0;
	const int32_t partition = flags ? o->row.partition : 0;
	__builtin_memcpy(p, &o->row.timestamp, 8);
	__builtin_memcpy(p + 8, &key_len, 4);
	__builtin_memcpy(p + 12, &value_len, 4);
	__builtin_memcpy(p + 16, &headers_len, 4);
	__builtin_memcpy(p + 20, &o->source, 4);
	__builtin_memcpy(p + 24, &o->row.output, 2);
	__builtin_memcpy(p + 26, &flags, 2);
	__builtin_memcpy(p + 28, &partition, 4);
	p += 32;
	if (key > 0) __builtin_memcpy(p, o->row.key.p, key);
	if (value > 0) __builtin_memcpy(p + key, o->row.value.p, value);
	if (headers > 0) {
		__builtin_memcpy(p + key + value, o->headers.p, headers);
		__builtin_memcpy(p + key + value, &o->count, 4);
	}
}

/* millrun_to begins a row for one of the deployment's outputs, counted from 0. What is not set on it is the record's. What is
   set is kept as it was given until the next millrun_to, or until map returns. */
MILLRUN__IN void millrun_to(millrun_output *o, uint16_t output) {
	millrun__finish(o);
	o->row.open = o->row.copy_key = o->row.copy_value = o->row.copy_headers = true;
	o->row.timestamp = -1, o->row.partition = -1, o->row.output = output;
	o->headers.n = o->count = 0;
}

/* Setters of the row that was begun last. MILLRUN_NULL is null. */
MILLRUN__IN void millrun_key(millrun_output *o, millrun_bytes key) { o->row.key = key, o->row.copy_key = false; }
MILLRUN__IN void millrun_value(millrun_output *o, millrun_bytes value) { o->row.value = value, o->row.copy_value = false; }
MILLRUN__IN void millrun_timestamp(millrun_output *o, int64_t ms) { o->row.timestamp = ms; }
MILLRUN__IN void millrun_partition(millrun_output *o, int32_t partition) { o->row.partition = partition; }

/* millrun_no_headers drops the record's headers. */
MILLRUN__IN void millrun_no_headers(millrun_output *o) { o->headers.n = o->count = 0, o->row.copy_headers = false; }

/* millrun_add_header adds a header to those of the record, which the module must have asked for (MILLRUN_HEADERS), or to none
   after millrun_no_headers. */
MILLRUN__OUT void millrun_add_header(millrun_output *o, millrun_bytes key, millrun_bytes value) {
	if (o->row.copy_headers) {
		if (o->record->headers.p == NULL) {
			millrun_log(MILLRUN_ERROR, MILLRUN_TEXT("millrun_add_header needs MILLRUN_HEADERS among what the module wants, or millrun_no_headers before it"));
			__builtin_trap();
		}
		o->row.copy_headers = false;
		o->headers.n = 0, o->count = millrun_num_headers(o->record);
		uint8_t *to = millrun__more(&o->headers, o->record->headers.n);
		if (to == NULL) goto full;
		__builtin_memcpy(to, o->record->headers.p, o->record->headers.n);
	}
	if (o->headers.n == 0 && millrun__more(&o->headers, 4) == NULL) goto full;
	if (key.n > INT32_MAX / 4 || value.n > INT32_MAX / 4) goto full;
	uint8_t *to = millrun__more(&o->headers, 8 + key.n + value.n);
	if (to == NULL) goto full;
	const int32_t value_len = value.p == NULL ? -1 : (int32_t)value.n;
	__builtin_memcpy(to, &key.n, 4);
	if (key.n > 0) __builtin_memcpy(to + 4, key.p, key.n);
	__builtin_memcpy(to + 4 + key.n, &value_len, 4);
	if (value.n > 0) __builtin_memcpy(to + 8 + key.n, value.p, value.n);
	o->count++;
	return;
full:
	o->failed = true;
}

/* MILLRUN_TRANSFORM makes a transform of static bool map(const millrun_record *, millrun_output *): it makes rows of a record,
   none to drop it. False fails the call, and with it everything that the call made: log why (millrun_refuse). */
#define MILLRUN_TRANSFORM(wants, configure, map)                                                                      \
	MILLRUN__COMMON(wants, configure)                                                                                 \
	MILLRUN_EXPORT(millrun_transform) int64_t millrun__transform(const uint8_t *p, uint32_t len, uint32_t n) {        \
		static millrun_output out;                                                                                    \
		millrun_record r;                                                                                             \
		out.rows.n = 0, out.record = &r, out.failed = out.row.open = false;                                           \
		for (uint32_t i = 0; i < n; i++) {                                                                            \
			millrun_next_row(&p, &r);                                                                                 \
			out.source = i;                                                                                           \
			bool ok = map(&r, &out);                                                                                  \
			millrun__finish(&out);                                                                                    \
			if (out.failed) millrun_log(MILLRUN_ERROR, MILLRUN_TEXT("out of memory"));                                \
			if (!ok || out.failed) return -1;                                                                         \
		}                                                                                                             \
		return (int64_t)(uintptr_t)out.rows.p << 32 | out.rows.n;                                                     \
	}

#endif
