// The least a host can do: decode n streams, scale each into a grid, encode the result.
// Nothing is received, drawn, sent or measured on the way. The benchmark compares the
// mixer's CPU time with this program's, on the same streams and encoder settings.
//
// usage: bare STREAM N BITRATE X264PARAMS; the stream is frames, each after its size as a
// native 32 bit number. Prints the CPU seconds used per second of media.
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libyuv/planar_functions.h>
#include <libyuv/scale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { WIDTH = 1280, HEIGHT = 720, FPS = 30, MAX = 49 };

static void check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bare: %s\n", what);
		exit(1);
	}
}

static double cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_stime.tv_sec + (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	check(argc == 5, "usage: bare STREAM N BITRATE X264PARAMS");
	int n = atoi(argv[2]), grid = 1;
	check(n >= 1 && n <= MAX, "too many streams");
	while (grid * grid < n)
		grid++;
	int cw = WIDTH / grid & ~1, ch = HEIGHT / grid & ~1;

	FILE *file = fopen(argv[1], "rb");
	check(file != NULL, "no stream");
	fseek(file, 0, SEEK_END);
	long size = ftell(file);
	rewind(file);
	uint8_t *stream = calloc(1, size + AV_INPUT_BUFFER_PADDING_SIZE);
	check(stream && fread(stream, 1, size, file) == (size_t)size, "cannot read the stream");

	AVCodecContext *dec[MAX];
	for (int i = 0; i < n; i++) {
		dec[i] = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
		dec[i]->thread_count = 1;
		dec[i]->flags |= AV_CODEC_FLAG_LOW_DELAY;
		check(avcodec_open2(dec[i], NULL, NULL) == 0, "decoder");
	}
	const AVCodec *x264 = avcodec_find_encoder_by_name("libx264");
	AVCodecContext *enc = avcodec_alloc_context3(x264);
	enc->width = WIDTH;
	enc->height = HEIGHT;
	enc->pix_fmt = AV_PIX_FMT_YUV420P;
	enc->time_base = (AVRational){1, FPS};
	enc->framerate = (AVRational){FPS, 1};
	enc->thread_count = 1;
	enc->bit_rate = enc->rc_max_rate = atoi(argv[3]);
	enc->rc_buffer_size = enc->bit_rate * 3 / 10;
	av_opt_set(enc->priv_data, "preset", "superfast", 0);
	av_opt_set(enc->priv_data, "tune", "zerolatency", 0);
	av_opt_set(enc->priv_data, "profile", "baseline", 0);
	av_opt_set(enc->priv_data, "x264-params", argv[4], 0);
	av_log_set_level(AV_LOG_ERROR);
	check(avcodec_open2(enc, x264, NULL) == 0, "encoder");

	AVFrame *canvas = av_frame_alloc(), *frame = av_frame_alloc();
	canvas->format = AV_PIX_FMT_YUV420P;
	canvas->width = WIDTH;
	canvas->height = HEIGHT;
	check(av_frame_get_buffer(canvas, 0) == 0, "canvas");
	I420Rect(canvas->data[0], canvas->linesize[0], canvas->data[1], canvas->linesize[1], canvas->data[2], canvas->linesize[2],
	         0, 0, WIDTH, HEIGHT, 16, 128, 128);
	AVPacket *in = av_packet_alloc(), *out = av_packet_alloc();

	double began = cpu();
	int pictures = 0;
	for (long at = 0; at + 4 <= size;) {
		uint32_t length;
		memcpy(&length, stream + at, 4);
		at += 4;
		for (int i = 0; i < n; i++) {
			in->data = stream + at;
			in->size = length;
			check(avcodec_send_packet(dec[i], in) == 0, "decoding");
			if (avcodec_receive_frame(dec[i], frame) != 0)
				continue;
			int x = i % grid * cw, y = i / grid * ch;
			I420Scale(frame->data[0], frame->linesize[0], frame->data[1], frame->linesize[1], frame->data[2], frame->linesize[2],
			          frame->width, frame->height,
			          canvas->data[0] + y * canvas->linesize[0] + x, canvas->linesize[0],
			          canvas->data[1] + y / 2 * canvas->linesize[1] + x / 2, canvas->linesize[1],
			          canvas->data[2] + y / 2 * canvas->linesize[2] + x / 2, canvas->linesize[2], cw, ch, kFilterBox);
			av_frame_unref(frame);
		}
		at += length;
		canvas->pts = pictures++;
		check(avcodec_send_frame(enc, canvas) == 0, "encoding");
		while (avcodec_receive_packet(enc, out) == 0)
			av_packet_unref(out);
	}
	printf("%.5f\n", (cpu() - began) * FPS / pictures);
	return 0;
}
