#include "bilinear.h"

#ifdef __x86_64__

#include <stddef.h>
#include <string.h>
#include <tmmintrin.h>

enum { WIDEST = 4096, BLOCK = 8 };

// columns are eight samples of a row that is shrunk to less than half: all lie within sixteen of the row's.
typedef struct {
	__m128i pairs, weights; // of each the sample left and right of its place, and their parts of 128
	int from;
} columns;

// place is where the n-th of to samples lies among from, in 1/65536, as distances between the middles of samples.
static int place(int n, int from, int to)
{
	int64_t p = (((int64_t)from << 16) * (2 * n + 1) / to - (1 << 16)) / 2, last = (int64_t)(from - 1) << 16;
	return p < 0 ? 0 : p > last ? last : p;
}

static int part(int place) { return place >> 9 & 127; }

static int arrange(columns *c, int from, int to)
{
	int n = 0;
	for (int x = 0; x < to; x += BLOCK, n++) {
		uint8_t pairs[2 * BLOCK], weights[2 * BLOCK];
		c[n].from = place(x, from, to) >> 16;
		for (int i = 0; i < BLOCK; i++) {
			int at = place(x + i < to ? x + i : to - 1, from, to);
			int left = (at >> 16) - c[n].from;
			pairs[2 * i] = left;
			pairs[2 * i + 1] = part(at) ? left + 1 : left;
			weights[2 * i] = 128 - part(at);
			weights[2 * i + 1] = part(at);
		}
		c[n].pairs = _mm_loadu_si128((const __m128i *)pairs);
		c[n].weights = _mm_loadu_si128((const __m128i *)weights);
	}
	return n;
}

// mix adds up pairs of samples, each less 128, by weights of 128 together.
__attribute__((target("ssse3"))) static inline __m128i mix(__m128i weights, __m128i samples)
{
	return _mm_srai_epi16(_mm_add_epi16(_mm_maddubs_epi16(weights, samples), _mm_set1_epi16(64)), 7);
}

// between interpolates a row between two; what it writes is less 128 each.
__attribute__((target("ssse3"))) static void between(uint8_t *row, const uint8_t *a, const uint8_t *b, int f, int width)
{
	const __m128i weights = _mm_set1_epi16((short)((128 - f) | f << 8)), sign = _mm_set1_epi8(-128);
	int x = 0;
	for (; x + 16 <= width; x += 16) {
		__m128i p = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(a + x)), sign);
		__m128i q = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(b + x)), sign);
		_mm_storeu_si128((__m128i *)(row + x), _mm_packs_epi16(
			mix(weights, _mm_unpacklo_epi8(p, q)), mix(weights, _mm_unpackhi_epi8(p, q))));
	}
	for (; x < width; x++)
		row[x] = ((a[x] * (128 - f) + b[x] * f + 64) >> 7) ^ 128;
}

__attribute__((target("ssse3"))) static void shrink(const uint8_t *from, int stride, int width, int height,
                                                    uint8_t *to, int to_stride, int to_width, int to_height)
{
	columns c[WIDEST / BLOCK];
	uint8_t row[WIDEST + 16];
	const __m128i sign = _mm_set1_epi8(-128);
	int blocks = arrange(c, width, to_width);
	memset(row + width, 0, 16); // is read, and then not used
	for (int y = 0; y < to_height; y++) {
		int at = place(y, height, to_height);
		const uint8_t *a = from + (ptrdiff_t)(at >> 16) * stride;
		between(row, a, part(at) ? a + stride : a, part(at), width);
		uint8_t *out = to + (ptrdiff_t)y * to_stride;
		for (int n = 0; n < blocks; n++) {
			__m128i samples = _mm_loadu_si128((const __m128i *)(row + c[n].from));
			__m128i v = mix(c[n].weights, _mm_shuffle_epi8(samples, c[n].pairs));
			v = _mm_xor_si128(_mm_packs_epi16(v, v), sign);
			if (n * BLOCK + BLOCK <= to_width) {
				_mm_storel_epi64((__m128i *)(out + n * BLOCK), v);
			} else {
				uint8_t last[16];
				_mm_storeu_si128((__m128i *)last, v);
				memcpy(out + n * BLOCK, last, to_width - n * BLOCK);
			}
		}
	}
}

int bilinear(const uint8_t *from, int stride, int width, int height,
             uint8_t *to, int to_stride, int to_width, int to_height)
{
	if (width > WIDEST || to_width > width || to_height > height || width >= 2 * to_width || height >= 2 * to_height ||
	    !__builtin_cpu_supports("ssse3"))
		return 0;
	shrink(from, stride, width, height, to, to_stride, to_width, to_height);
	return 1;
}

#else

int bilinear(const uint8_t *from, int stride, int width, int height,
             uint8_t *to, int to_stride, int to_width, int to_height)
{
	return 0;
}

#endif
