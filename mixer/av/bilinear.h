// Shrinking by less than half, where libyuv has no fast way.
#ifndef RENDEZVOUS_AV_BILINEAR_H
#define RENDEZVOUS_AV_BILINEAR_H

#include <stdint.h>

// bilinear fills a plane of to_width x to_height with one of width x height: each sample is interpolated between the four
// around its place, as libyuv does it. It returns 0 and writes nothing where it cannot: the plane grows or shrinks to half
// or less in one direction, is wider than 4096, or the processor lacks SSSE3.
int bilinear(const uint8_t *from, int stride, int width, int height,
             uint8_t *to, int to_stride, int to_width, int to_height);

#endif
