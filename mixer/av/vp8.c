#include "vp8.h"

#include <stdlib.h>
#include <string.h>

enum {
	BUFFER = 300,    // ms at the bitrate that the decoder's buffer holds
	LEVEL = 200,     // ms of it that are to be full
	KEY_FRAME = 200, // ms at the bitrate that a key frame takes at most
};

static void plan(vpx_codec_enc_cfg_t *c, int bitrate, int fps)
{
	int opened = c->g_timebase.den;
	c->rc_target_bitrate = (bitrate + 500) / 1000;
	// A buffer as long in time is the smaller in pictures, which is what the codec counts.
	c->rc_buf_sz = BUFFER * fps / opened;
	c->rc_buf_initial_sz = c->rc_buf_optimal_sz = LEVEL * fps / opened;
}

// Key frames are limited to so many per cent of what a picture has on average.
static vpx_codec_err_t limit_key_frames(vp8_encoder *e, int fps)
{
	return vpx_codec_control(&e->codec, VP8E_SET_MAX_INTRA_BITRATE_PCT, (unsigned)(KEY_FRAME * fps / 10));
}

vp8_encoder *vp8_open(int width, int height, int fps, int bitrate, vpx_codec_err_t *err)
{
	vp8_encoder *e = calloc(1, sizeof(*e));
	if (!e) {
		*err = VPX_CODEC_MEM_ERROR;
		return NULL;
	}
	vpx_codec_enc_cfg_t *c = &e->cfg;
	*err = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), c, 0);
	if (*err) {
		free(e);
		return NULL;
	}
	c->g_w = width;
	c->g_h = height;
	c->g_threads = 1;
	c->g_lag_in_frames = 0;
	c->g_timebase.num = 1;
	c->g_timebase.den = fps;
	c->rc_end_usage = VPX_CBR;
	c->rc_min_quantizer = 2;
	c->rc_max_quantizer = 63;
	c->rc_undershoot_pct = 95;
	c->rc_overshoot_pct = 15;
	// Where even the coarsest picture is too large, some are left out, but not before the buffer is empty.
	c->rc_dropframe_thresh = 1;
	c->kf_mode = VPX_KF_DISABLED; // on demand only
	plan(c, bitrate, fps);
	*err = vpx_codec_enc_init(&e->codec, vpx_codec_vp8_cx(), c, 0);
	if (*err) {
		free(e);
		return NULL;
	}
	if (vpx_codec_control(&e->codec, VP8E_SET_CPUUSED, -8) ||
	    vpx_codec_control(&e->codec, VP8E_SET_STATIC_THRESHOLD, 1) ||
	    limit_key_frames(e, fps)) {
		*err = e->codec.err;
		vp8_close(e);
		return NULL;
	}
	return e;
}

vpx_codec_err_t vp8_set_rate(vp8_encoder *e, int bitrate, int fps)
{
	plan(&e->cfg, bitrate, fps);
	vpx_codec_err_t err = vpx_codec_enc_config_set(&e->codec, &e->cfg);
	if (!err)
		err = limit_key_frames(e, fps);
	return err;
}

vpx_codec_err_t vp8_encode(vp8_encoder *e, const uint8_t *y, const uint8_t *u, const uint8_t *v,
                           int stride_y, int stride_u, int stride_v, int force_key, vp8_encoded *res)
{
	memset(res, 0, sizeof(*res));
	vpx_image_t img = {
		.fmt = VPX_IMG_FMT_I420, .bit_depth = 8, .bps = 12, .x_chroma_shift = 1, .y_chroma_shift = 1,
		.w = e->cfg.g_w, .h = e->cfg.g_h, .d_w = e->cfg.g_w, .d_h = e->cfg.g_h,
		.planes = {(uint8_t *)y, (uint8_t *)u, (uint8_t *)v}, .stride = {stride_y, stride_u, stride_v},
	};
	vpx_enc_frame_flags_t flags = force_key ? VPX_EFLAG_FORCE_KF : 0;
	vpx_codec_err_t err = vpx_codec_encode(&e->codec, &img, e->pictures++, 1, flags, VPX_DL_REALTIME);
	if (err)
		return err;
	vpx_codec_iter_t iter = NULL;
	const vpx_codec_cx_pkt_t *pkt;
	while ((pkt = vpx_codec_get_cx_data(&e->codec, &iter))) {
		if (pkt->kind != VPX_CODEC_CX_FRAME_PKT)
			continue;
		res->data = pkt->data.frame.buf;
		res->size = (int)pkt->data.frame.sz;
		res->key = (pkt->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
	}
	return VPX_CODEC_OK;
}

void vp8_close(vp8_encoder *e)
{
	vpx_codec_destroy(&e->codec);
	free(e);
}
