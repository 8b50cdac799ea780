#include "shim.h"

#include <libavutil/buffer.h>
#include <libavutil/channel_layout.h>
#include <libavutil/mem.h>
#include <libswscale/swscale.h>
#include <string.h>

// fill_packet copies data into the packet's buffer, keeping the buffer of the
// last call when nobody else holds it. The padding that decoders read is zeroed.
static int fill_packet(AVPacket *pkt, const uint8_t *data, int size)
{
	size_t need = (size_t)size + AV_INPUT_BUFFER_PADDING_SIZE;
	AVBufferRef *buf = pkt->buf;
	if (!buf || !av_buffer_is_writable(buf) || buf->size < need) {
		av_packet_unref(pkt);
		int ret = av_new_packet(pkt, size + size / 2);
		if (ret < 0)
			return ret;
		buf = pkt->buf;
	}
	pkt->data = buf->data;
	pkt->size = size;
	pkt->flags = 0;
	memcpy(pkt->data, data, size);
	memset(pkt->data + size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	return 0;
}

// From FFmpeg 6.1 on a flag says so, and from 8 on only that.
static int is_key(const AVFrame *f)
{
#ifdef AV_FRAME_FLAG_KEY
	return (f->flags & AV_FRAME_FLAG_KEY) != 0;
#else
	return f->key_frame;
#endif
}

int shim_decode(AVCodecContext *ctx, AVPacket *pkt, AVFrame *out, AVFrame *tmp,
                const uint8_t *data, int size, int64_t pts, int64_t max_kept, shim_decoded *res)
{
	memset(res, 0, sizeof(*res));
	int ret = fill_packet(pkt, data, size);
	if (ret < 0)
		return ret;
	pkt->pts = pts;
	pkt->dts = AV_NOPTS_VALUE;
	int sent = avcodec_send_packet(ctx, pkt);
	// Even a packet that was refused may have let an older picture out.
	for (;;) {
		ret = avcodec_receive_frame(ctx, tmp);
		if (ret < 0)
			break;
		av_frame_unref(out);
		av_frame_move_ref(out, tmp);
		res->got = 1;
		res->key = is_key(out);
		res->corrupt = (out->flags & AV_FRAME_FLAG_CORRUPT) || out->decode_error_flags;
	}
	// What the stream has the decoder keep for reference: up to 16 pictures of any size.
	if (ctx->refs > 1 && (int64_t)ctx->width * ctx->height * 3 / 2 * ctx->refs > max_kept) {
		avcodec_flush_buffers(ctx);
		av_frame_unref(out);
		res->got = 0;
		return AVERROR(ENOMEM);
	}
	if (sent < 0)
		return sent;
	return ret == AVERROR(EAGAIN) ? 0 : ret;
}

// The planes belong to the caller; the codec copies them before it returns.
static void keep(void *opaque, uint8_t *data) { (void)data; --*(int *)opaque; }

int shim_encode_video(AVCodecContext *ctx, AVFrame *f, AVPacket *pkt,
                      const uint8_t *y, const uint8_t *u, const uint8_t *v,
                      int stride_y, int stride_u, int stride_v,
                      int64_t pts, int force_key)
{
	int held = 0;
	const uint8_t *planes[3] = {y, u, v};
	int strides[3] = {stride_y, stride_u, stride_v};

	av_packet_unref(pkt);
	for (int i = 0; i < 3; i++) {
		int rows = i ? (ctx->height + 1) / 2 : ctx->height;
		f->data[i] = (uint8_t *)planes[i];
		f->linesize[i] = strides[i];
		f->buf[i] = av_buffer_create((uint8_t *)planes[i], (size_t)strides[i] * rows, keep, &held, AV_BUFFER_FLAG_READONLY);
		if (!f->buf[i]) {
			av_frame_unref(f);
			return AVERROR(ENOMEM);
		}
		held++;
	}
	f->format = AV_PIX_FMT_YUV420P;
	f->width = ctx->width;
	f->height = ctx->height;
	f->pts = pts;
	f->pict_type = force_key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;

	int ret = avcodec_send_frame(ctx, f);
	av_frame_unref(f);
	if (ret < 0)
		return ret;
	ret = avcodec_receive_packet(ctx, pkt);
	if (held) // the encoder kept a reference to memory it does not own
		return AVERROR_BUG;
	return ret == AVERROR(EAGAIN) ? 0 : ret;
}

int shim_convert(void *sws, const AVFrame *f, uint8_t *y, uint8_t *u, uint8_t *v,
                 int stride_y, int stride_u, int stride_v)
{
	uint8_t *dst[4] = {y, u, v, NULL};
	int strides[4] = {stride_y, stride_u, stride_v, 0};
	return sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, dst, strides);
}

void shim_set_rate(AVCodecContext *ctx, int64_t bitrate, int buffer)
{
	ctx->bit_rate = bitrate;
	ctx->rc_max_rate = bitrate;
	ctx->rc_buffer_size = buffer;
}

int shim_encode_s16(AVCodecContext *ctx, AVFrame *f, AVPacket *pkt,
                    const int16_t *samples, int n)
{
	av_packet_unref(pkt);
	if (!f->buf[0] || f->nb_samples != n) {
		av_frame_unref(f);
		f->format = AV_SAMPLE_FMT_S16;
		f->nb_samples = n;
		f->sample_rate = ctx->sample_rate;
		av_channel_layout_copy(&f->ch_layout, &ctx->ch_layout);
		int ret = av_frame_get_buffer(f, 0);
		if (ret < 0)
			return ret;
	}
	int ret = av_frame_make_writable(f);
	if (ret < 0)
		return ret;
	memcpy(f->data[0], samples, (size_t)n * 2 * ctx->ch_layout.nb_channels);
	ret = avcodec_send_frame(ctx, f);
	if (ret < 0)
		return ret;
	ret = avcodec_receive_packet(ctx, pkt);
	return ret == AVERROR(EAGAIN) ? 0 : ret;
}

SwrContext *shim_resampler(int in_rate, int out_rate)
{
	AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
	SwrContext *swr = NULL;
	if (swr_alloc_set_opts2(&swr, &mono, AV_SAMPLE_FMT_S16, out_rate,
	                        &mono, AV_SAMPLE_FMT_S16, in_rate, 0, NULL) < 0)
		return NULL;
	if (swr_init(swr) < 0)
		swr_free(&swr);
	return swr;
}

int shim_resample(SwrContext *swr, int16_t *out, int out_n, const int16_t *in, int in_n)
{
	uint8_t *o[1] = {(uint8_t *)out};
	const uint8_t *i[1] = {(const uint8_t *)in};
	return swr_convert(swr, o, out_n, i, in_n);
}

// A writer leaves alone what it is given, and from FFmpeg 7 on has to say so.
#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t written;
#else
typedef uint8_t written;
#endif

static int sink_write(void *opaque, written *buf, int size)
{
	shim_sink *s = opaque;
	if (size > INT32_MAX - s->size)
		return AVERROR(ENOMEM);
	if (s->size + size > s->cap) {
		int cap = s->size + size;
		cap = cap < INT32_MAX / 2 ? cap * 2 : INT32_MAX;
		uint8_t *data = av_realloc(s->data, cap);
		if (!data)
			return AVERROR(ENOMEM);
		s->data = data;
		s->cap = cap;
	}
	memcpy(s->data + s->size, buf, size);
	s->size += size;
	return size;
}

AVIOContext *shim_sink_open(AVFormatContext *fc, shim_sink *sink)
{
	const int block = 32 << 10;
	uint8_t *buf = av_malloc(block);
	if (!buf)
		return NULL;
	AVIOContext *io = avio_alloc_context(buf, block, 1, sink, NULL, sink_write, NULL);
	if (!io) {
		av_free(buf);
		return NULL;
	}
	fc->pb = io;
	fc->flags |= AVFMT_FLAG_CUSTOM_IO;
	return io;
}

void shim_sink_close(AVFormatContext *fc, shim_sink *sink)
{
	if (fc->pb) {
		av_freep(&fc->pb->buffer);
		avio_context_free(&fc->pb);
	}
	av_freep(&sink->data);
	sink->size = sink->cap = 0;
}

void shim_set_title(AVFormatContext *fc, int stream, const char *title)
{
	av_dict_set(&fc->streams[stream]->metadata, "title", title, 0);
	// MP4 keeps a track's name only as that of its handler.
	av_dict_set(&fc->streams[stream]->metadata, "handler_name", title, 0);
}

int shim_write_packet(AVFormatContext *fc, AVPacket *pkt, int stream,
                      const uint8_t *data, int size,
                      int64_t pts, int64_t dts, int64_t duration, int key)
{
	int ret;
	if (!data) { // end the fragment
		ret = av_write_frame(fc, NULL);
	} else {
		ret = fill_packet(pkt, data, size);
		if (ret < 0)
			return ret;
		pkt->stream_index = stream;
		pkt->pts = pts;
		pkt->dts = dts;
		pkt->duration = duration;
		if (key)
			pkt->flags |= AV_PKT_FLAG_KEY;
		ret = av_write_frame(fc, pkt);
	}
	if (fc->pb)
		avio_flush(fc->pb);
	return ret;
}
