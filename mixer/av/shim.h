// What go-astiav does not offer in v0.16.0, its oldest release that we are built with: planes and packets without copies,
// rate control at run time, resampling, and output into memory.
#ifndef RENDEZVOUS_AV_SHIM_H
#define RENDEZVOUS_AV_SHIM_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libswresample/swresample.h>
#include <stdint.h>

// A decoded picture or frame of sound, as decode found it.
typedef struct {
	int got;     // a frame came out
	int key;     // it was a key frame
	int corrupt; // the decoder had to conceal something
} shim_decoded;

int shim_decode(AVCodecContext *ctx, AVPacket *pkt, AVFrame *out, AVFrame *tmp,
                const uint8_t *data, int size, int64_t pts, int64_t max_kept, shim_decoded *res);

int shim_encode_video(AVCodecContext *ctx, AVFrame *f, AVPacket *pkt,
                      const uint8_t *y, const uint8_t *u, const uint8_t *v,
                      int stride_y, int stride_u, int stride_v,
                      int64_t pts, int force_key);

// The context comes as void *: cgo knows its type only where swscale.h is included.
int shim_convert(void *sws, const AVFrame *f, uint8_t *y, uint8_t *u, uint8_t *v,
                 int stride_y, int stride_u, int stride_v);

void shim_set_rate(AVCodecContext *ctx, int64_t bitrate, int buffer);

int shim_encode_s16(AVCodecContext *ctx, AVFrame *f, AVPacket *pkt,
                    const int16_t *samples, int n);

SwrContext *shim_resampler(int in_rate, int out_rate);
int shim_resample(SwrContext *swr, int16_t *out, int out_n, const int16_t *in, int in_n);

// A growing buffer that an output format writes into.
typedef struct {
	uint8_t *data;
	int size, cap;
} shim_sink;

AVIOContext *shim_sink_open(AVFormatContext *fc, shim_sink *sink);
void shim_sink_close(AVFormatContext *fc, shim_sink *sink);
void shim_set_title(AVFormatContext *fc, int stream, const char *title);
int shim_write_packet(AVFormatContext *fc, AVPacket *pkt, int stream,
                      const uint8_t *data, int size,
                      int64_t pts, int64_t dts, int64_t duration, int key);

#endif
