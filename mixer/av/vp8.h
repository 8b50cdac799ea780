// VP8 by libvpx itself: FFmpeg's wrapper can change no bitrate while it is open.
#ifndef RENDEZVOUS_AV_VP8_H
#define RENDEZVOUS_AV_VP8_H

#include <stdint.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

typedef struct {
	vpx_codec_ctx_t codec;
	vpx_codec_enc_cfg_t cfg;
	int64_t pictures; // encoded so far: time as the rate control sees it
} vp8_encoder;

// What vp8_encode made: data is valid until the next call, and NULL if the picture was skipped.
typedef struct {
	const uint8_t *data;
	int size;
	int key;
} vp8_encoded;

// bitrate is in bit/s. What fails says so as vpx_codec_err_t; vp8_open returns NULL then.
vp8_encoder *vp8_open(int width, int height, int fps, int bitrate, vpx_codec_err_t *err);

// bitrate is for as many pictures a second as the encoder was opened for, of which fps come.
vpx_codec_err_t vp8_set_rate(vp8_encoder *e, int bitrate, int fps);

vpx_codec_err_t vp8_encode(vp8_encoder *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                           int stride_y, int stride_u, int stride_v, int force_key, vp8_encoded *res);
void vp8_close(vp8_encoder *e);

#endif
